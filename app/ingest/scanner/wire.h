/*
 * Bytes: a Cursor walks one message, never beyond its end. A field is known by its whole tag (number and wire type), so a
 * known number of another type is skipped like an unknown field, as upb does.
 */
#ifndef FORESHOCK_WIRE_H
#define FORESHOCK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at;
    size_t len;
} Slice;

/* A place in one message; `depth` messages may still be opened inside it. What was `checked` once is not again. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    int depth;
    bool checked;
    const char **why;
} Cursor;

enum { VARINT = 0, FIXED64 = 1, LEN = 2, GROUP = 3, END_GROUP = 4, FIXED32 = 5 };
#define TAG(number, wire) ((uint32_t)(number) << 3 | (wire))

/* The deepest nesting that upb takes: messages, or groups, inside the request. */
enum { MAX_NESTING = 100 };

static bool refuse(const Cursor *c, const char *why)
{
    *c->why = why;
    return false;
}

/* The further bytes of a varint of at most `most` bytes. Bits beyond 64 are lost, as in upb. */
static bool read_long_varint(Cursor *c, int most, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < most; i++) {
        if (c->at == c->end)
            return refuse(c, "it ends within a number");
        uint8_t byte = *c->at++;
        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return true;
    }
    return refuse(c, "a number has too many bytes");
}

static inline bool read_varint(Cursor *c, uint64_t *value)
{
    if (c->at < c->end && *c->at < 0x80) {
        *value = *c->at++;
        return true;
    }
    return read_long_varint(c, 10, value);
}

/* Reads an enum; upb drops the upper bits. */
static inline bool read_number(Cursor *c, int32_t *number)
{
    uint64_t value;
    if (!read_varint(c, &value))
        return false;
    *number = (int32_t)(uint32_t)value;
    return true;
}

static inline bool read_tag(Cursor *c, uint32_t *tag)
{
    uint64_t value;
    if (c->at < c->end && *c->at < 0x80)
        value = *c->at++;
    else if (!read_long_varint(c, 5, &value))
        return false;
    if (value > UINT32_MAX)
        return refuse(c, "a field number is too large");
    *tag = (uint32_t)value;
    return true;
}

static inline bool read_slice(Cursor *c, Slice *slice)
{
    uint64_t len;
    if (c->at < c->end && *c->at < 0x80)
        len = *c->at++;
    else if (!read_long_varint(c, 5, &len))
        return false;
    if (len > (size_t)(c->end - c->at))
        return refuse(c, "a length reaches beyond its message");
    slice->at = c->at;
    slice->len = (size_t)len;
    c->at += len;
    return true;
}

static inline bool read_fixed64(Cursor *c, uint64_t *value)
{
    if (c->end - c->at < 8)
        return refuse(c, "it ends within a number");
    uint64_t read = 0;
    for (int i = 0; i < 8; i++) /* one load on a little-endian machine */
        read |= (uint64_t)c->at[i] << (8 * i);
    *value = read;
    c->at += 8;
    return true;
}

/* Opens a message inside another. */
static inline bool enter(Cursor *c, Cursor *inner)
{
    Slice slice;
    if (!read_slice(c, &slice))
        return false;
    if (c->depth == 0)
        return refuse(c, "it nests too deep");
    *inner = (Cursor){slice.at, slice.at + slice.len, c->depth - 1, c->checked, c->why};
    return true;
}

/* The bytes that a cursor has before it. */
static Slice rest(const Cursor *c)
{
    return (Slice){c->at, (size_t)(c->end - c->at)};
}

static bool skip_value(Cursor *c, uint32_t tag, int depth);

/* Skips a group up to its own end; inside of it upb takes even the field number 0. */
static bool skip_group(Cursor *c, uint32_t start, int depth)
{
    if (depth == 0)
        return refuse(c, "it nests too deep");
    while (c->at < c->end) {
        uint32_t tag;
        if (!read_tag(c, &tag))
            return false;
        if (tag == (start & ~7u) + END_GROUP)
            return true;
        if (!skip_value(c, tag, depth - 1))
            return false;
    }
    return refuse(c, "it ends within a group");
}

static bool skip_value(Cursor *c, uint32_t tag, int depth)
{
    uint64_t number;
    Slice slice;
    switch (tag & 7) {
    case VARINT:
        return read_varint(c, &number);
    case FIXED64:
        return read_fixed64(c, &number);
    case LEN:
        return read_slice(c, &slice);
    case GROUP:
        return skip_group(c, tag, depth);
    case FIXED32:
        if (c->end - c->at < 4)
            return refuse(c, "it ends within a number");
        c->at += 4;
        return true;
    default:
        return refuse(c, (tag & 7) == END_GROUP ? "a group ends that did not begin" : "a field has no known wire type");
    }
}

/* Skips a field that nothing reads, or that has another type than its number says. */
static bool skip_field(Cursor *c, uint32_t tag)
{
    if (tag >> 3 == 0)
        return refuse(c, "a field has the number 0");
    return skip_value(c, tag, c->depth);
}

/* Texts are short as a rule: whole words, then the last word once more as far as it was read. */
static inline bool is_ascii(const uint8_t *at, size_t len)
{
    const uint64_t HIGH = UINT64_C(0x8080808080808080);
    uint64_t word;
    uint32_t first, last;
    if (len < 4)
        return len == 0 || (at[0] | at[len / 2] | at[len - 1]) < 0x80;
    if (len < 8) {
        memcpy(&first, at, 4);
        memcpy(&last, at + len - 4, 4);
        return !((first | last) & (uint32_t)HIGH);
    }
    for (; len > 8; at += 8, len -= 8) {
        memcpy(&word, at, 8);
        if (word & HIGH)
            return false;
    }
    memcpy(&word, at + len - 8, 8);
    return !(word & HIGH);
}

/* Whether bytes are UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const uint8_t *at, size_t len)
{
    if (is_ascii(at, len))
        return true;
    const uint8_t *end = at + len;
    while (at < end) {
        uint8_t lead = *at++;
        if (lead < 0x80)
            continue;
        int more = lead >= 0xc2 && lead < 0xe0 ? 1 : (lead & 0xf0) == 0xe0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
        if (more == 0 || end - at < more)
            return false;
        uint8_t least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        uint8_t most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (*at < least || *at > most)
            return false;
        for (int i = 1; i < more; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        at += more;
    }
    return true;
}

static inline bool read_text(Cursor *c, Slice *text)
{
    if (!read_slice(c, text))
        return false;
    return c->checked || is_utf8(text->at, text->len) || refuse(c, "a text is no UTF-8");
}

static inline bool same(Slice a, Slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

#define FIXED(text) {(const uint8_t *)(text), sizeof(text) - 1}
#define LITERAL(text) ((Slice)FIXED(text))

#endif

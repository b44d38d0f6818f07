/*
 * Reads the protobuf body of an OTLP request, traces or logs, in one pass, and counts what it says.
 *
 * `app.ingest.scan` calls the one function here, `scan`, and makes a Batch of what it returns. The readers in
 * Python (spans.py, logs.py, tally.py, traffic.py, ...) say what is counted and how; this file does the same
 * without making an object of every span. Both must give equal Batches and refuse the same bodies: those that
 * upb, the parser under Google's protobuf for Python, refuses.
 *
 * How it goes:
 *   1. Bytes        A Cursor walks one message, never beyond its end. A field is known by its whole tag (number
 *                   and wire type), so a known number of another type is skipped like an unknown field, as upb does.
 *   2. Storage      Blocks and tables that live for one scan. What is kept of the body are Slices into it.
 *   3. Values       Attribute values, and their texts.
 *   4. Counting     Groups, counters, ends, calls, presences, errors: the Tally of the Python reader.
 *   5. Readers      Resources, spans and log records. A resource may follow its spans, so it is looked for first.
 *   6. Results      Python objects, made at the end. All before runs without the interpreter's lock if the body is large.
 *
 * Functions that can fail return false: the body is malformed (Scan.why says how), it is one for the reader in Python
 * (Scan.unusual) or memory ran out.
 */
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- 1. Bytes ------------------------------------------------------------------------------------------------ */

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

/* ---- 2. Storage ---------------------------------------------------------------------------------------------- */

enum { SERVICE = 0, INSTANCE, POD, NODE, HOST, VERSION, FUNCTION, N_RESOURCE_KEYS };

/* Keys of a resource that are read; all but the first are kept for its errors. */
static const Slice RESOURCE_KEYS[N_RESOURCE_KEYS] = {
    [SERVICE] = FIXED("service.name"), [INSTANCE] = FIXED("service.instance.id"),
    [POD] = FIXED("k8s.pod.name"),     [NODE] = FIXED("k8s.node.name"),
    [HOST] = FIXED("host.name"),       [VERSION] = FIXED("service.version"),
    [FUNCTION] = FIXED("faas.name"),
};

enum { N_PEERS = 5 };

/* Attributes that name the other end of a call, the best first. */
static const Slice PEER_KEYS[N_PEERS] = {
    FIXED("peer.service"), FIXED("server.address"),             FIXED("net.peer.name"),
    FIXED("rpc.service"),  FIXED("messaging.destination.name"),
};

#define COUNTERS(X)                                                                                                    \
    X(ids_invalid) X(times_invalid) X(durations_invalid) X(weights_invalid) X(weights_capped) X(operations_folded)     \
    X(names_cut) X(attributes_cut) X(attributes_deep) X(attributes_dropped)                                             \
    X(errors_not_decoded) X(presences_dropped) X(calls_dropped)
#define AS_ENUM(name) name,
#define AS_TEXT(name) #name,
enum { COUNTERS(AS_ENUM) N_COUNTERS };
static const char *const COUNTER_NAMES[N_COUNTERS] = {COUNTERS(AS_TEXT)};

/* features.batch.CHANNELS, in its order. */
enum { TOTAL, FAILED, SERVER_ERRORS, ERRORS, WARNINGS, HANDLED, INNER, LOGS, SERVED, DURATION_SUM, DURATION_MAX, N_CHANNELS };
enum { N_BUCKETS = 16 };

typedef struct {
    long long tick_s, span_end_sample;
    Py_ssize_t max_errors, max_chars, max_attributes, max_depth, max_name_chars, max_operations, max_rows;
} Limits;

/* A text of the scan, once; the tables below hold its place. */
typedef struct {
    Slice text;
    uint64_t hash;
    uint32_t n_operations; /* as a service: how many names of operations it has */
    uint32_t row;          /* as a service with span ends: its place in their table, plus one */
    PyObject *object;
} Text;

/* An entry of a table; `value` is the table's business. */
typedef struct {
    uint64_t key[3];
    uint64_t value;
} Entry;

typedef struct {
    Entry *entries; /* in order of arrival */
    uint32_t *slots; /* place of an entry plus one, by hash */
    size_t n, room, n_slots;
} Table;

typedef struct {
    double count[N_CHANNELS];
    double histogram[N_BUCKETS];
} Sums;

typedef struct {
    uint64_t trace, span;
    uint32_t service, role;
} End;

typedef struct {
    double count, failed;
} Calls;

typedef struct {
    Slice key, value;
    size_t rank;
} Pair;

typedef struct {
    bool from_log;
    uint32_t service;
    Slice operation, type, message, stack;
    int64_t time;
    int severity;
    Slice trace_id, span_id;
    Pair *pairs;
    size_t n_pairs;
    double weight;
} Error;

/* Keys of attributes that say what kind of failure it was, the most telling first; given by Python. */
typedef struct {
    PyObject *keys; /* the tuple that the rest was made of */
    Slice *texts;
    size_t n;
} Ranks;

typedef struct Block {
    struct Block *next;
    size_t used, size;
    uint64_t bytes[];
} Block;

/* The text of a value, while it is written. */
typedef struct {
    uint8_t *at;
    size_t len, room;
    Py_ssize_t chars_left; /* that are still written */
    bool left_out; /* whether something was, of a structure */
} Writing;

typedef struct {
    const char *why; /* what is wrong with the body */
    bool unusual; /* it holds too many records, or what no library writes: the reader in Python says what it is */
    const uint64_t *seed;
    const Ranks *ranks;
    Limits limits;
    int64_t tick_ns;
    Block *blocks;
    Text *texts;
    uint32_t *text_slots;
    size_t n_texts, texts_room, n_text_slots;
    uint32_t whole, other, unnamed, escaped; /* texts: *, _other, unnamed, (*) */
    Table names;    /* service, name of an operation -> its text */
    Table groups;   /* service, operation, tick */
    Table calls;    /* caller, callee */
    Table presences; /* service, instance, version */
    Table error_traces;
    struct Attributes *attributes; /* of the error that is being looked at */
    Sums *sums; /* of each group */
    Calls *call_counts;
    End *ends;
    Error *errors;
    size_t sums_room, calls_room, n_ends, ends_room, n_errors, errors_room;
    uint64_t n_records, rejected;
    Writing writing;
    Py_ssize_t records_left, holders_left; /* how many records, and resources and scopes, may still come */
    uint64_t counters[N_COUNTERS];
} Scan;

/* Memory that lives as long as the scan; NULL when there is none. */
static void *keep(Scan *s, size_t size)
{
    if (size > PTRDIFF_MAX / 2)
        return NULL;
    size = (size + 7) & ~(size_t)7;
    Block *block = s->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > 16384 ? size : 16384;
        if ((block = malloc(sizeof(Block) + room)) == NULL)
            return NULL;
        *block = (Block){s->blocks, 0, room};
        s->blocks = block;
    }
    void *at = (char *)block->bytes + block->used;
    block->used += size;
    return at;
}

/* Returns an array that doubles with room for one more item; NULL without memory, and then the array is gone. */
static void *grown(void *items, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return items;
    size_t wanted = *room ? *room * 2 : 16;
    void *more = wanted > PTRDIFF_MAX / size ? NULL : realloc(items, wanted * size);
    if (more)
        *room = wanted;
    else
        free(items);
    return more;
}

#define GROW(items, n, room) (((items) = grown((items), (n), &(room), sizeof *(items))) != NULL)

#define ROTATED(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = ROTATED(v[1], 13) ^ v[0], v[0] = ROTATED(v[0], 32);
    v[2] += v[3], v[3] = ROTATED(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = ROTATED(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = ROTATED(v[1], 17) ^ v[2], v[2] = ROTATED(v[2], 32);
}

/* SipHash-1-3 with the seed of the process: nobody can choose names that collide. */
static uint64_t hash_of(const uint64_t seed[2], const void *data, size_t len)
{
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573)};
    const char *at = data;
    uint64_t word, last = (uint64_t)len << 56;
    for (size_t left = len; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (len % 8)
        memcpy(&word, at, len % 8);
    last |= word & UINT64_C(0xffffffffffffff);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Returns the slot of a key in a table that has slots: an empty one if the key is not there. */
static size_t table_slot(const Scan *s, const Table *t, const uint64_t key[3])
{
    size_t slot = hash_of(s->seed, key, sizeof t->entries->key) & (t->n_slots - 1);
    while (t->slots[slot] && memcmp(t->entries[t->slots[slot] - 1].key, key, sizeof t->entries->key) != 0)
        slot = (slot + 1) & (t->n_slots - 1);
    return slot;
}

static bool table_holds(const Scan *s, const Table *t, uint64_t a)
{
    const uint64_t key[3] = {a, 0, 0};
    return t->n && t->slots[table_slot(s, t, key)];
}

/* Returns the place of an entry; a new one, with value 0, if there is none and `limit` allows. `n` then grew. */
enum { NO_MEMORY = -1, NO_ROOM = -2 };

static int64_t table_place(Scan *s, Table *t, uint64_t a, uint64_t b, uint64_t c, size_t limit)
{
    const uint64_t key[3] = {a, b, c};
    if (t->n * 2 >= t->n_slots) {
        size_t n_slots = t->n_slots ? t->n_slots * 4 : 64;
        uint32_t *slots = t->n >= UINT32_MAX / 4 ? NULL : calloc(n_slots, sizeof *slots);
        if (slots == NULL)
            return NO_MEMORY;
        for (size_t i = 0; i < t->n; i++) {
            size_t slot = hash_of(s->seed, t->entries[i].key, sizeof key) & (n_slots - 1);
            while (slots[slot])
                slot = (slot + 1) & (n_slots - 1);
            slots[slot] = (uint32_t)i + 1;
        }
        free(t->slots);
        t->slots = slots;
        t->n_slots = n_slots;
    }
    size_t slot = table_slot(s, t, key);
    if (t->slots[slot])
        return t->slots[slot] - 1;
    if (t->n >= limit)
        return NO_ROOM;
    if (!GROW(t->entries, t->n, t->room))
        return NO_MEMORY;
    t->entries[t->n] = (Entry){{a, b, c}, 0};
    t->slots[slot] = (uint32_t)++t->n;
    return (int64_t)t->n - 1;
}

static const uint32_t NOT_THERE = UINT32_MAX;

/* Gives the place of a text, which must live as long as the scan; a new one only if it is to `add`. */
static bool find_text(Scan *s, Slice text, bool add, uint32_t *place)
{
    if (s->n_texts * 2 >= s->n_text_slots) {
        size_t n_slots = s->n_text_slots ? s->n_text_slots * 4 : 256;
        uint32_t *slots = s->n_texts >= UINT32_MAX / 4 ? NULL : calloc(n_slots, sizeof *slots);
        if (slots == NULL)
            return false;
        for (size_t i = 0; i < s->n_texts; i++) {
            size_t slot = s->texts[i].hash & (n_slots - 1);
            while (slots[slot])
                slot = (slot + 1) & (n_slots - 1);
            slots[slot] = (uint32_t)i + 1;
        }
        free(s->text_slots);
        s->text_slots = slots;
        s->n_text_slots = n_slots;
    }
    uint64_t hash = hash_of(s->seed, text.at, text.len);
    size_t slot = hash & (s->n_text_slots - 1);
    for (; s->text_slots[slot]; slot = (slot + 1) & (s->n_text_slots - 1)) {
        *place = s->text_slots[slot] - 1;
        if (s->texts[*place].hash == hash && same(s->texts[*place].text, text))
            return true;
    }
    *place = NOT_THERE;
    if (!add)
        return true;
    if (!GROW(s->texts, s->n_texts, s->texts_room))
        return false;
    s->texts[s->n_texts] = (Text){text, hash, 0, 0, NULL};
    *place = (uint32_t)s->n_texts++;
    s->text_slots[slot] = *place + 1;
    return true;
}

static bool text_place(Scan *s, Slice text, uint32_t *place)
{
    return find_text(s, text, true, place);
}

/* Cuts a text after so many characters, and returns how many it has then. */
static Py_ssize_t fit(Slice *text, Py_ssize_t max_chars)
{
    Py_ssize_t chars = 0;
    for (size_t i = 0; i < text->len; i++) {
        if ((text->at[i] & 0xc0) == 0x80)
            continue;
        if (chars == max_chars)
            text->len = i;
        else
            chars++;
    }
    return chars;
}

/* Cuts a text after so many characters; returns whether there was something to cut. */
static bool cut(Slice *text, Py_ssize_t max_chars)
{
    size_t len = text->len;
    if (len > (size_t)max_chars)
        fit(text, max_chars);
    return text->len < len;
}

/* ---- 3. Values ----------------------------------------------------------------------------------------------- */

typedef enum { NOTHING, TEXT, BOOL, INT, DOUBLE, ARRAY, MAP, BYTES } Kind;

/* Of `kind` NOTHING the rest is not set. */
typedef struct {
    Kind kind;
    union {
        Slice bytes;
        uint64_t number; /* the bits */
    };
} Value;

static bool read_pair(Scan *s, Cursor *c, Slice *key, Value *value);
static bool read_value(Scan *s, Cursor *c, Value *value);

/* Takes the bytes of a list. One that occurs again is continued, which is left to the reader in Python. */
static bool take_list(Scan *s, Value *value, Kind kind, Slice part)
{
    if (value->kind == kind && part.len == 0)
        return true;
    s->unusual = value->kind == kind && value->bytes.len;
    *value = (Value){.kind = kind, .bytes = part};
    return !s->unusual;
}

/* Checks an ArrayValue or a KeyValueList. */
static bool check_list(Scan *s, Cursor *c, Kind kind)
{
    while (c->at < c->end) {
        uint32_t tag;
        Cursor inner;
        Slice key;
        if (!read_tag(c, &tag))
            return false;
        if (tag != TAG(1, LEN)) {
            if (!skip_field(c, tag))
                return false;
        } else if (!enter(c, &inner) || !(kind == ARRAY ? read_value(s, &inner, NULL) : read_pair(s, &inner, &key, NULL)))
            return false;
    }
    return true;
}

/* Reads an AnyValue into `value`, which holds what was read of it before; NULL only checks. */
static bool read_value(Scan *s, Cursor *c, Value *value)
{
    Value ignored;
    bool wanted = value != NULL;
    value = wanted ? value : &ignored;
    while (c->at < c->end) {
        uint32_t tag;
        Cursor inner;
        Slice list;
        if (!read_tag(c, &tag))
            return false;
        switch (tag) {
        case TAG(1, LEN):
            value->kind = TEXT;
            if (!read_text(c, &value->bytes))
                return false;
            break;
        case TAG(2, VARINT):
        case TAG(3, VARINT):
        case TAG(8, VARINT): /* the place of a text in a table that only profiles have */
            value->kind = tag == TAG(2, VARINT) ? BOOL : tag == TAG(3, VARINT) ? INT : NOTHING;
            if (!read_varint(c, &value->number))
                return false;
            break;
        case TAG(4, FIXED64):
            value->kind = DOUBLE;
            if (!read_fixed64(c, &value->number))
                return false;
            break;
        case TAG(5, LEN):
        case TAG(6, LEN):
            if (!enter(c, &inner))
                return false;
            list = rest(&inner);
            if ((!c->checked && !check_list(s, &inner, tag == TAG(5, LEN) ? ARRAY : MAP)) ||
                (wanted && !take_list(s, value, tag == TAG(5, LEN) ? ARRAY : MAP, list)))
                return false;
            break;
        case TAG(7, LEN):
            value->kind = BYTES;
            if (!read_slice(c, &value->bytes))
                return false;
            break;
        default:
            if (!skip_field(c, tag))
                return false;
        }
    }
    return true;
}

/* Reads a KeyValue; without `value` it is only checked. */
static bool read_pair(Scan *s, Cursor *c, Slice *key, Value *value)
{
    *key = (Slice){c->at, 0};
    if (value)
        value->kind = NOTHING;
    while (c->at < c->end) {
        uint32_t tag;
        Cursor inner;
        if (!read_tag(c, &tag))
            return false;
        if (tag == TAG(1, LEN)) {
            if (!read_text(c, key))
                return false;
        } else if (tag == TAG(2, LEN)) {
            if (!enter(c, &inner) || !read_value(s, &inner, value))
                return false;
        } else if (!skip_field(c, tag))
            return false;
    }
    return true;
}

/* Checks a message that is not read: which of its fields are texts, and which holds attributes, 0 for none. */
static bool check_message(Scan *s, Cursor *c, uint32_t texts, uint32_t attributes)
{
    while (c->at < c->end) {
        uint32_t tag;
        Slice text;
        Cursor inner;
        if (!read_tag(c, &tag))
            return false;
        if ((tag & 7) == LEN && tag >> 3 < 32 && texts >> (tag >> 3) & 1) {
            if (!read_text(c, &text))
                return false;
        } else if (attributes && tag == TAG(attributes, LEN)) {
            if (!enter(c, &inner) || !read_pair(s, &inner, &text, NULL))
                return false;
        } else if (!skip_field(c, tag))
            return false;
    }
    return true;
}

/* Writes as much of a text as is wanted: of a structure of millions of items all but the first characters are cut. */
static bool put(Scan *s, const void *bytes, size_t len)
{
    Writing *w = &s->writing;
    Slice part = {bytes, len};
    w->chars_left -= fit(&part, w->chars_left);
    if (w->room - w->len < part.len) {
        size_t room = (w->len + part.len) * 2;
        uint8_t *at = part.len > PTRDIFF_MAX / 4 - w->len ? NULL : realloc(w->at, room);
        if (at == NULL)
            return false;
        w->at = at;
        w->room = room;
    }
    if (part.len)
        memcpy(w->at + w->len, part.at, part.len);
    w->len += part.len;
    return true;
}

static bool put_int(Scan *s, int64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        digits[--at] = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0)
        digits[--at] = '-';
    return put(s, digits + at, sizeof digits - at);
}

/* Finds the shortest digits that read back as a positive number; returns its exponent, that of the first digit. */
static int shortest(double number, char digits[17], int *n)
{
    char text[40];
    /* Of a normal number 15 digits hold any that are fewer, with zeros behind them. */
    for (int precision = number < DBL_MIN ? 1 : DBL_DIG; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, number);
        if (strtod(text, NULL) == number)
            break;
    }
    const char *at = text;
    for (*n = 0; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') /* the mark between them is the locale's */
            digits[(*n)++] = *at;
    while (*n > 1 && digits[*n - 1] == '0')
        --*n;
    return (int)strtol(at + 1, NULL, 10);
}

/* Writes a double as Python's repr does, without a last ".0": 503.0 is 503, since JavaScript has doubles alone. */
static bool put_double(Scan *s, uint64_t bits)
{
    static const char ZEROS[] = "0000000000000000";
    double number;
    char digits[17], power[8];
    int n;
    memcpy(&number, &bits, 8);
    if (isnan(number))
        return put(s, "nan", 3);
    if (bits >> 63 && !put(s, "-", 1))
        return false;
    number = fabs(number);
    if (isinf(number))
        return put(s, "inf", 3);
    int exponent = shortest(number, digits, &n), whole = exponent + 1;
    if (exponent < -4 || exponent >= 16) {
        int len = snprintf(power, sizeof power, "e%+03d", exponent);
        return put(s, digits, 1) && (n == 1 || (put(s, ".", 1) && put(s, digits + 1, (size_t)n - 1))) &&
               put(s, power, (size_t)len);
    }
    if (exponent < 0)
        return put(s, "0.", 2) && put(s, ZEROS, (size_t)-whole) && put(s, digits, (size_t)n);
    if (n <= whole)
        return put(s, digits, (size_t)n) && put(s, ZEROS, (size_t)(whole - n));
    return put(s, digits, (size_t)whole) && put(s, ".", 1) && put(s, digits + whole, (size_t)(n - whole));
}

static bool put_base64(Scan *s, Slice bytes)
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.len && s->writing.chars_left; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t bits = (uint32_t)bytes.at[i] << 16;
        bits |= n > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0;
        bits |= n > 2 ? bytes.at[i + 2] : 0;
        char four[4] = {ALPHABET[bits >> 18], ALPHABET[bits >> 12 & 63], '=', '='};
        if (n > 1)
            four[2] = ALPHABET[bits >> 6 & 63];
        if (n > 2)
            four[3] = ALPHABET[bits & 63];
        if (!put(s, four, 4))
            return false;
    }
    return true;
}

static bool put_value(Scan *s, const Value *value, Py_ssize_t depth);

enum { MAX_ITEMS = 32 };

/* A place in what was read before. */
static Cursor again(Scan *s, Slice bytes)
{
    return (Cursor){bytes.at, bytes.at + bytes.len, MAX_NESTING, true, &s->why};
}

static bool put_list(Scan *s, const Value *list, Py_ssize_t depth)
{
    Cursor c = again(s, list->bytes);
    int n = 0;
    if (!put(s, list->kind == ARRAY ? "[" : "{", 1))
        return false;
    while (c.at < c.end && s->writing.chars_left) {
        uint32_t tag;
        Cursor inner;
        Slice key;
        Value value = {NOTHING};
        if (!read_tag(&c, &tag))
            return false;
        if (tag != TAG(1, LEN)) {
            if (!skip_field(&c, tag))
                return false;
            continue;
        }
        if (n == MAX_ITEMS) {
            s->writing.left_out = true;
            break;
        }
        if (!enter(&c, &inner) || (n++ && !put(s, ", ", 2)))
            return false;
        if (list->kind == ARRAY) {
            if (!read_value(s, &inner, &value))
                return false;
        } else if (!read_pair(s, &inner, &key, &value) || !put(s, key.at, key.len) || !put(s, ": ", 2))
            return false;
        if (!put_value(s, &value, depth))
            return false;
    }
    return put(s, list->kind == ARRAY ? "]" : "}", 1);
}

static bool put_value(Scan *s, const Value *value, Py_ssize_t depth)
{
    switch (value->kind) {
    case TEXT:
        return put(s, value->bytes.at, value->bytes.len);
    case BOOL:
        return value->number ? put(s, "true", 4) : put(s, "false", 5);
    case INT:
        return put_int(s, (int64_t)value->number);
    case DOUBLE:
        return put_double(s, value->number);
    case BYTES:
        return put_base64(s, value->bytes);
    case ARRAY:
    case MAP:
        s->writing.left_out |= depth <= 0;
        return depth <= 0 || put_list(s, value, depth - 1);
    default:
        return true;
    }
}

/* Returns a value as text: in place if it is one, else written, up to one character more than are wanted. */
static bool text_of(Scan *s, const Value *value, Py_ssize_t max_chars, Slice *text)
{
    Writing *w = &s->writing;
    *text = (Slice){(const uint8_t *)"", 0};
    if (value->kind == TEXT)
        *text = value->bytes;
    if (value->kind == TEXT || value->kind == NOTHING)
        return true;
    w->len = 0;
    w->chars_left = max_chars + 1;
    w->left_out = false;
    if (!put_value(s, value, s->limits.max_depth))
        return false;
    s->counters[attributes_deep] += w->left_out;
    uint8_t *kept = keep(s, w->len);
    if (kept == NULL)
        return false;
    if (w->len)
        memcpy(kept, w->at, w->len);
    *text = (Slice){kept, w->len};
    return true;
}

/* ---- 4. Counting --------------------------------------------------------------------------------------------- */

enum { INVALID_TIME = -1 };

static int64_t time_of(uint64_t sent)
{
    return sent <= INT64_MAX ? (int64_t)sent : INVALID_TIME;
}

/* Returns an id of so many bytes, an empty one if it is none; a wrong length is counted. */
static Slice id_of(Scan *s, Slice sent, size_t len)
{
    static const uint8_t ZEROS[16];
    if (sent.len == len && memcmp(sent.at, ZEROS, len) != 0)
        return sent;
    s->counters[ids_invalid] += sent.len != 0 && sent.len != len;
    return (Slice){sent.at, 0};
}

static uint64_t big_endian(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

static uint64_t trace_hash(Slice trace_id)
{
    return big_endian(trace_id.at) ^ big_endian(trace_id.at + 8);
}

static bool name_place(Scan *s, Slice name, uint32_t *place)
{
    s->counters[names_cut] += cut(&name, s->limits.max_name_chars);
    return text_place(s, name, place);
}

/* The operation of a span's name: an empty one and the name of the whole service mean something else as keys. */
static Slice operation_name(const Scan *s, Slice name)
{
    if (same(name, s->texts[s->whole].text))
        return s->texts[s->escaped].text;
    cut(&name, s->limits.max_name_chars);
    return name.len ? name : s->texts[s->unnamed].text;
}

/* Returns the operation of a name, `_other` beyond the limit of names. */
static bool operation_place(Scan *s, uint32_t service, Slice name, uint32_t *operation)
{
    uint32_t text;
    /* What is folded leaves nothing behind, however many names there are. */
    bool folded = s->texts[service].n_operations >= (size_t)s->limits.max_operations;
    if (!find_text(s, name, !folded, &text))
        return false;
    size_t before = s->names.n;
    int64_t place = table_place(s, &s->names, service, text, 0, folded ? 0 : SIZE_MAX);
    if (place == NO_MEMORY)
        return false;
    if (place == NO_ROOM) {
        s->counters[operations_folded]++;
        *operation = s->other;
        return true;
    }
    if (s->names.n > before) {
        s->texts[service].n_operations++;
        Slice whole = name;
        s->counters[names_cut] += cut(&whole, s->limits.max_name_chars);
        uint32_t named;
        if (!text_place(s, operation_name(s, name), &named))
            return false;
        s->names.entries[place].value = named;
    }
    *operation = (uint32_t)s->names.entries[place].value;
    return true;
}

/* Returns the sums of a group; NULL in `sums` when no row is left for it. */
static bool group_sums(Scan *s, uint32_t service, uint32_t operation, int64_t time, Sums **sums)
{
    int64_t tick = time < 0 ? -1 : time / s->tick_ns;
    size_t before = s->groups.n;
    int64_t place = table_place(s, &s->groups, service, operation, (uint64_t)tick, (size_t)s->limits.max_rows);
    if (place == NO_MEMORY)
        return false;
    if (place == NO_ROOM) {
        *sums = NULL;
        s->rejected++;
        return true;
    }
    if (s->groups.n > before) {
        if (!GROW(s->sums, (size_t)place, s->sums_room))
            return false;
        memset(&s->sums[place], 0, sizeof(Sums));
    }
    *sums = &s->sums[place];
    s->n_records++;
    return true;
}

static bool note_end(Scan *s, Slice trace_id, Slice span_id, uint32_t service, uint32_t role)
{
    if (!GROW(s->ends, s->n_ends, s->ends_room))
        return false;
    s->ends[s->n_ends++] = (End){trace_hash(trace_id), big_endian(span_id.at), service, role};
    return true;
}

static bool note_call(Scan *s, uint32_t caller, Slice callee, double weight, bool failed)
{
    uint32_t named;
    size_t before = s->calls.n;
    s->counters[names_cut] += cut(&callee, s->limits.max_name_chars);
    if (!find_text(s, callee, before < (size_t)s->limits.max_rows, &named))
        return false;
    int64_t place = table_place(s, &s->calls, caller, named, 0, (size_t)s->limits.max_rows);
    if (place == NO_MEMORY)
        return false;
    if (place == NO_ROOM) {
        s->counters[calls_dropped]++;
        return true;
    }
    if (s->calls.n > before) {
        if (!GROW(s->call_counts, (size_t)place, s->calls_room))
            return false;
        s->call_counts[place] = (Calls){0, 0};
    }
    s->call_counts[place].count += weight;
    s->call_counts[place].failed += failed ? weight : 0;
    return true;
}

static bool room_for_error(Scan *s)
{
    if (s->n_errors < (size_t)s->limits.max_errors)
        return true;
    s->counters[errors_not_decoded]++;
    return false;
}

/* The most distinct keys that are looked at for one error: memory for them, and for nothing else, is taken once. */
enum { MAX_KEYS = 1024, N_KEY_SLOTS = 2 * MAX_KEYS };

/* The attributes of one error, each key once: in the place where it first stood, with the value that stood last. */
typedef struct Attributes {
    Pair pairs[MAX_KEYS];
    Value values[MAX_KEYS];
    uint16_t slots[N_KEY_SLOTS]; /* place of a key plus one, by hash */
    size_t n;
} Attributes;

/* Returns the attributes of an error that has none yet, in the place of those of the one before; NULL without memory. */
static Attributes *no_attributes(Scan *s)
{
    if (s->attributes == NULL && (s->attributes = keep(s, sizeof(Attributes))) == NULL)
        return NULL;
    memset(s->attributes->slots, 0, sizeof s->attributes->slots);
    s->attributes->n = 0;
    return s->attributes;
}

static void note_attribute(Scan *s, Attributes *all, Slice key, const Value *value)
{
    size_t slot = hash_of(s->seed, key.at, key.len) % N_KEY_SLOTS;
    for (; all->slots[slot]; slot = (slot + 1) % N_KEY_SLOTS)
        if (same(all->pairs[all->slots[slot] - 1].key, key)) {
            all->values[all->slots[slot] - 1] = *value;
            return;
        }
    if (all->n == MAX_KEYS) {
        s->counters[attributes_dropped]++;
        return;
    }
    all->pairs[all->n] = (Pair){.key = key};
    all->values[all->n] = *value;
    all->slots[slot] = (uint16_t)++all->n;
}

/* Notes the attributes of a message: the field `number` of it. */
static bool note_attributes(Scan *s, Attributes *all, Slice message, uint32_t number)
{
    Cursor c = again(s, message);
    while (c.at < c.end) {
        uint32_t tag;
        Cursor inner;
        Slice key;
        Value value;
        if (!read_tag(&c, &tag))
            return false;
        if (tag != TAG(number, LEN)) {
            if (!skip_field(&c, tag))
                return false;
        } else if (!enter(&c, &inner) || !read_pair(s, &inner, &key, &value))
            return false;
        else
            note_attribute(s, all, key, &value);
    }
    return true;
}

static size_t rank_of(const Ranks *ranks, Slice key)
{
    for (size_t i = 0; i < ranks->n; i++)
        if (same(ranks->texts[i], key))
            return i;
    return ranks->n;
}

/* Keeps an error: what its exception says apart, the most telling attributes first, and all within its bounds. */
static bool note_error(Scan *s, Error error, Attributes *all)
{
    const Slice names[3] = {LITERAL("exception.type"), LITERAL("exception.message"), LITERAL("exception.stacktrace")};
    Slice said[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t *starts = keep(s, (s->ranks->n + 2) * sizeof(size_t));
    size_t n = 0;
    if (starts == NULL || !GROW(s->errors, s->n_errors, s->errors_room))
        return false;
    memset(starts, 0, (s->ranks->n + 2) * sizeof(size_t));
    for (size_t i = 0; i < all->n; i++) {
        int which = 0;
        while (which < 3 && !same(all->pairs[i].key, names[which]))
            which++;
        if (which < 3) {
            if (!text_of(s, &all->values[i], which ? s->limits.max_chars : s->limits.max_name_chars, &said[which]))
                return false;
            continue;
        }
        all->values[n] = all->values[i];
        all->pairs[n] = (Pair){.key = all->pairs[i].key, .rank = rank_of(s->ranks, all->pairs[i].key)};
        starts[all->pairs[n++].rank + 1]++;
    }
    for (size_t i = 0; i <= s->ranks->n; i++)
        starts[i + 1] += starts[i];
    error.n_pairs = n < (size_t)s->limits.max_attributes ? n : (size_t)s->limits.max_attributes;
    s->counters[attributes_dropped] += n - error.n_pairs;
    if ((error.pairs = keep(s, error.n_pairs * sizeof(Pair))) == NULL)
        return false;
    for (size_t i = 0; i < n; i++) { /* a counting sort: equal ranks stay in their order */
        size_t place = starts[all->pairs[i].rank]++;
        if (place >= error.n_pairs)
            continue;
        Pair *pair = &error.pairs[place];
        *pair = all->pairs[i];
        if (!text_of(s, &all->values[i], s->limits.max_chars, &pair->value))
            return false;
        if (cut(&pair->key, s->limits.max_name_chars)) {
            s->counters[names_cut]++;
            pair->rank = s->ranks->n;
        }
        s->counters[attributes_cut] += cut(&pair->value, s->limits.max_chars);
    }
    error.type = said[0];
    error.message = said[1].len ? said[1] : error.message;
    error.stack = said[2];
    s->counters[names_cut] += cut(&error.type, s->limits.max_name_chars);
    s->counters[attributes_cut] += cut(&error.message, s->limits.max_chars);
    s->counters[attributes_cut] += cut(&error.stack, s->limits.max_chars);
    s->errors[s->n_errors++] = error;
    return true;
}

/* ---- 5. Readers ---------------------------------------------------------------------------------------------- */

/* Who sent the records that are being read, and what its errors keep of it. */
typedef struct {
    uint32_t service;
    size_t n_kept;
    Pair kept[N_RESOURCE_KEYS];
} Source;

/* What was found of a resource; one that occurs twice is continued. */
typedef struct {
    Value values[N_RESOURCE_KEYS];
    int order[N_RESOURCE_KEYS]; /* the keys as they first came */
    int n;
} Resource;

static bool read_resource(Scan *s, Cursor *c, Resource *found)
{
    while (c->at < c->end) {
        uint32_t tag;
        Cursor inner;
        Slice key;
        Value value;
        if (!read_tag(c, &tag))
            return false;
        if (tag == TAG(3, LEN)) { /* an EntityRef */
            if (!enter(c, &inner) || !check_message(s, &inner, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4, 0))
                return false;
            continue;
        }
        if (tag != TAG(1, LEN)) {
            if (!skip_field(c, tag))
                return false;
            continue;
        }
        if (!enter(c, &inner) || !read_pair(s, &inner, &key, &value))
            return false;
        for (int i = 0; i < N_RESOURCE_KEYS; i++) {
            if (!same(key, RESOURCE_KEYS[i]))
                continue;
            int known = 0;
            while (known < found->n && found->order[known] != i)
                known++;
            if (known == found->n)
                found->order[found->n++] = i;
            found->values[i] = value;
        }
    }
    return true;
}

/* Says who a resource is, and notes that it spoke. */
static bool note_source(Scan *s, const Resource *found, Source *source)
{
    Slice texts[N_RESOURCE_KEYS];
    uint32_t instance, version;
    source->n_kept = 0;
    for (int i = 0; i < N_RESOURCE_KEYS; i++)
        if (!text_of(s, &found->values[i], s->limits.max_name_chars, &texts[i]))
            return false;
    for (int i = 0; i < found->n; i++) {
        if (found->order[i] == SERVICE)
            continue;
        Pair *kept = &source->kept[source->n_kept++];
        *kept = (Pair){RESOURCE_KEYS[found->order[i]], texts[found->order[i]], 0};
        s->counters[names_cut] += cut(&kept->value, s->limits.max_name_chars);
    }
    Slice place = texts[INSTANCE].len ? texts[INSTANCE] : texts[POD].len ? texts[POD] : texts[HOST];
    if (!name_place(s, texts[SERVICE].len ? texts[SERVICE] : LITERAL("unknown_service"), &source->service) ||
        !name_place(s, place, &instance) || !name_place(s, texts[VERSION], &version))
        return false;
    int64_t presence = table_place(s, &s->presences, source->service, instance, version, (size_t)s->limits.max_rows);
    s->counters[presences_dropped] += presence == NO_ROOM;
    return presence != NO_MEMORY;
}

/* The attributes that an error begins with. */
static void note_kept(Scan *s, const Source *source, Attributes *all)
{
    for (size_t i = 0; i < source->n_kept; i++) {
        Value value = {.kind = TEXT, .bytes = source->kept[i].value};
        note_attribute(s, all, source->kept[i].key, &value);
    }
}

enum { SERVER = 2, CLIENT = 3, PRODUCER = 4, CONSUMER = 5, STATUS_ERROR = 2, CALLER = 0, CALLEE = 1 };

typedef struct {
    Slice whole, trace_id, span_id, parent, trace_state, name, message;
    uint64_t start, end;
    int32_t kind, code;
    size_t n_exceptions;
    bool has_http_status;
    Value http_status; /* from here on not set at first but for the kinds */
    Value peers[N_PEERS];
} Span;

/* Keeps the attributes of a span that are counted by. */
static void look_at(Span *span, Slice key, const Value *value)
{
    const uint32_t LENGTHS = 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14 | 1u << 16 | 1u << 25 | 1u << 26;
    if (key.len > 26 || !(LENGTHS >> key.len & 1))
        return;
    for (int i = 0; i < N_PEERS; i++)
        if (same(key, PEER_KEYS[i]))
            span->peers[i] = *value;
    if (!span->has_http_status && (same(key, LITERAL("http.response.status_code")) || same(key, LITERAL("http.status_code")))) {
        span->has_http_status = true;
        span->http_status = *value;
    }
}

static bool read_status(Cursor *c, Span *span)
{
    while (c->at < c->end) {
        uint32_t tag;
        uint64_t code;
        if (!read_tag(c, &tag))
            return false;
        if (tag == TAG(2, LEN)) {
            if (!read_text(c, &span->message))
                return false;
        } else if (tag == TAG(3, VARINT)) {
            if (!read_varint(c, &code))
                return false;
            span->code = (int32_t)(uint32_t)code;
        } else if (!skip_field(c, tag))
            return false;
    }
    return true;
}

/* Reads an event of a span for its name; the attributes are only checked. */
static bool read_event(Scan *s, Cursor *c, Slice *name)
{
    *name = (Slice){c->at, 0};
    while (c->at < c->end) {
        uint32_t tag;
        Cursor inner;
        Slice key;
        if (!read_tag(c, &tag))
            return false;
        if (tag == TAG(2, LEN)) {
            if (!read_text(c, name))
                return false;
        } else if (tag == TAG(3, LEN)) {
            if (!enter(c, &inner) || !read_pair(s, &inner, &key, NULL))
                return false;
        } else if (!skip_field(c, tag))
            return false;
    }
    return true;
}

static bool read_number(Cursor *c, int32_t *number)
{
    uint64_t value;
    if (!read_varint(c, &value))
        return false;
    *number = (int32_t)(uint32_t)value; /* an enum; upb drops the upper bits */
    return true;
}

static bool read_span_field(Scan *s, Cursor *c, uint32_t tag, Span *span)
{
    Cursor inner;
    Slice text;
    Value value;
    switch (tag) {
    case TAG(1, LEN):
        return read_slice(c, &span->trace_id);
    case TAG(2, LEN):
        return read_slice(c, &span->span_id);
    case TAG(3, LEN):
        return read_text(c, &span->trace_state);
    case TAG(4, LEN):
        return read_slice(c, &span->parent);
    case TAG(5, LEN):
        return read_text(c, &span->name);
    case TAG(6, VARINT):
        return read_number(c, &span->kind);
    case TAG(7, FIXED64):
        return read_fixed64(c, &span->start);
    case TAG(8, FIXED64):
        return read_fixed64(c, &span->end);
    case TAG(9, LEN):
        if (!enter(c, &inner) || !read_pair(s, &inner, &text, &value))
            return false;
        look_at(span, text, &value);
        return true;
    case TAG(11, LEN):
        if (!enter(c, &inner) || !read_event(s, &inner, &text))
            return false;
        span->n_exceptions += same(text, LITERAL("exception"));
        return true;
    case TAG(13, LEN): /* a link */
        return enter(c, &inner) && check_message(s, &inner, 1 << 3, 4);
    case TAG(15, LEN):
        return enter(c, &inner) && read_status(&inner, span);
    default:
        return skip_field(c, tag);
    }
}

/* The number of hexadecimal digits at the start of a threshold, shifted as if there were 14; -1 if it is none. */
static int64_t threshold(Slice digits)
{
    int64_t value = 0;
    if (digits.len == 0 || digits.len > 14)
        return -1;
    for (size_t i = 0; i < 14; i++) {
        uint8_t digit = i < digits.len ? digits.at[i] : '0';
        if (digit >= '0' && digit <= '9')
            value = value * 16 + (digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = value * 16 + (digit - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* Takes what stands before the first `mark` off the front of a text; all of it if there is none. */
static Slice split_off(Slice *text, uint8_t mark)
{
    const uint8_t *found = text->len ? memchr(text->at, mark, text->len) : NULL;
    Slice front = {text->at, found ? (size_t)(found - text->at) : text->len};
    size_t taken = front.len + (found != NULL);
    text->at += taken;
    text->len -= taken;
    return front;
}

/* How many spans a span stands for: the threshold `th` in the member `ot` of its tracestate (sampling.py). */
static double weight_of(Scan *s, Slice state)
{
    while (state.len) {
        Slice member = split_off(&state, ',');
        while (member.len && (*member.at == ' ' || *member.at == '\t'))
            member.at++, member.len--;
        while (member.len && (member.at[member.len - 1] == ' ' || member.at[member.len - 1] == '\t'))
            member.len--;
        if (!same(split_off(&member, '='), LITERAL("ot")))
            continue;
        while (member.len) {
            Slice item = split_off(&member, ';');
            if (!same(split_off(&item, ':'), LITERAL("th")))
                continue;
            int64_t rejected = threshold(item);
            if (rejected < 0) {
                s->counters[weights_invalid]++;
                return 1;
            }
            double weight = 72057594037927936.0 / (double)(INT64_C(72057594037927936) - rejected); /* 2**56 */
            if (weight > 1048576.0) {
                s->counters[weights_capped]++;
                return 1048576.0;
            }
            /* Positive and far below 2**63, so that truncation is the floor. */
            return (double)(int64_t)(weight * 1024.0 + 0.5) / 1024.0;
        }
        return 1;
    }
    return 1;
}

enum { STATUS_CHARS = 9 };

/* Whether a text is the number of a server error, 500 to 599, in decimal digits. */
static bool is_5xx(Slice text)
{
    uint32_t number = 0;
    if (text.len == 0 || text.len > STATUS_CHARS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        number = number * 10 + (text.at[i] - '0');
    }
    return number >= 500 && number < 600;
}

static bool answered_5xx(Scan *s, const Span *span, bool *answered)
{
    Slice text;
    double number;
    const Value *status = &span->http_status;
    *answered = false;
    if (status->kind == INT) {
        *answered = status->number >= 500 && status->number < 600;
        return true;
    }
    if (status->kind == DOUBLE) { /* where the sender has no other numbers */
        memcpy(&number, &status->number, 8);
        *answered = number >= 500 && number < 600 && number == (int)number;
        return true;
    }
    if (status->kind != TEXT && status->kind != BYTES)
        return true; /* no other is written in digits alone */
    if (!text_of(s, status, STATUS_CHARS, &text))
        return false;
    *answered = is_5xx(text);
    return true;
}

static int64_t duration_of(Scan *s, int64_t start, int64_t end)
{
    const int64_t LONGEST = INT64_C(86400) * 1000000000;
    if (start > 0 && start <= end && end - start <= LONGEST)
        return end - start;
    s->counters[durations_invalid]++;
    return 0;
}

static void count_duration(Sums *sums, int64_t duration, double weight)
{
    double seconds = (double)duration * 1e-9;
    uint64_t micros = (uint64_t)duration / 1000;
    int bucket = -9;
    for (; micros; micros >>= 1)
        bucket++;
    sums->histogram[bucket < 0 ? 0 : bucket > N_BUCKETS - 1 ? N_BUCKETS - 1 : bucket] += weight;
    sums->count[TOTAL] += weight;
    sums->count[DURATION_SUM] += weight * seconds;
    if (seconds > sums->count[DURATION_MAX])
        sums->count[DURATION_MAX] = seconds;
}

static bool note_peer(Scan *s, const Span *span, uint32_t service, double weight, bool failed)
{
    for (int i = 0; i < N_PEERS; i++) {
        Slice peer;
        if (!text_of(s, &span->peers[i], s->limits.max_name_chars, &peer))
            return false;
        if (peer.len)
            return note_call(s, service, peer, weight, failed);
    }
    return true;
}

/* Looks at a failing span once more, for the texts of its error. */
static bool note_failed_span(Scan *s, const Span *span, const Source *source, Error error)
{
    Attributes *all;
    if (error.trace_id.len && table_place(s, &s->error_traces, trace_hash(error.trace_id), 0, 0, SIZE_MAX) == NO_MEMORY)
        return false;
    if (!room_for_error(s))
        return true;
    if ((all = no_attributes(s)) == NULL)
        return false;
    note_kept(s, source, all);
    if (!note_attributes(s, all, span->whole, 9))
        return false;
    /* The last exception is the one that left the span. */
    for (Cursor c = again(s, span->whole); span->n_exceptions && c.at < c.end;) {
        uint32_t tag;
        Cursor event;
        Slice name, whole;
        if (!read_tag(&c, &tag))
            return false;
        if (tag != TAG(11, LEN)) {
            if (!skip_field(&c, tag))
                return false;
            continue;
        }
        if (!enter(&c, &event))
            return false;
        whole = rest(&event);
        if (!read_event(s, &event, &name) || (same(name, LITERAL("exception")) && !note_attributes(s, all, whole, 3)))
            return false;
    }
    error.operation = operation_name(s, span->name);
    error.message = span->message;
    return note_error(s, error, all);
}

/* Counts one span. */
static bool count_span(Scan *s, const Span *span, const Source *source)
{
    Slice parent = id_of(s, span->parent, 8);
    int64_t start = time_of(span->start), end = time_of(span->end);
    bool callee = span->kind == SERVER || span->kind == CONSUMER;
    /* The root of a trace is where work enters a service, whatever its kind: a cron job, a batch, a browser. */
    bool entry = callee || parent.len == 0, server_error = false;
    uint32_t operation = s->whole;
    Sums *sums;
    if (entry && !operation_place(s, source->service, span->name, &operation))
        return false;
    if (!group_sums(s, source->service, operation, end, &sums))
        return false;
    if (sums == NULL)
        return true;
    s->counters[times_invalid] += start == INVALID_TIME || end == INVALID_TIME;
    double weight = weight_of(s, span->trace_state);
    if (span->kind == SERVER && !answered_5xx(s, span, &server_error))
        return false;
    bool failing = server_error || span->code == STATUS_ERROR;
    if (entry) {
        count_duration(sums, duration_of(s, start, end), weight);
        sums->count[SERVED] += span->kind == SERVER ? weight : 0;
        sums->count[FAILED] += failing ? weight : 0;
        sums->count[SERVER_ERRORS] += server_error ? weight : 0;
    } else
        sums->count[INNER] += weight;
    if (failing)
        sums->count[ERRORS] += weight;
    else
        for (size_t i = 0; i < span->n_exceptions; i++)
            sums->count[HANDLED] += weight;
    Slice trace_id = id_of(s, span->trace_id, 16), span_id = id_of(s, span->span_id, 8);
    /* Where the ends of a call meet. Without an instrumented client library the caller is an internal span. */
    Slice meeting = callee ? parent : span_id;
    if (trace_id.len && meeting.len && !note_end(s, trace_id, meeting, source->service, callee ? CALLEE : CALLER))
        return false;
    if ((span->kind == CLIENT || span->kind == PRODUCER) && !note_peer(s, span, source->service, weight, failing))
        return false;
    if (!failing)
        return true;
    Error error = {.service = source->service, .time = end, .severity = 17,
                   .trace_id = trace_id, .span_id = span_id, .weight = weight};
    return note_failed_span(s, span, source, error);
}

static bool read_span(Scan *s, Cursor *c, const Source *source)
{
    Span span;
    memset(&span, 0, offsetof(Span, http_status));
    span.whole = rest(c);
    span.http_status.kind = NOTHING;
    for (int i = 0; i < N_PEERS; i++)
        span.peers[i].kind = NOTHING;
    while (c->at < c->end) {
        uint32_t tag;
        if (!read_tag(c, &tag) || !read_span_field(s, c, tag, &span))
            return false;
    }
    return count_span(s, &span, source);
}

typedef struct {
    Slice whole, trace_id, span_id, severity_text;
    uint64_t time, observed;
    int32_t severity;
    Value body;
    bool has_exception;
} Log;

enum { WARN = 13, ERROR = 17, HIGHEST_SEVERITY = 24 };

/* Words for severities in common logging libraries (logs.py). */
static const struct {
    const char *word;
    int severity;
} WORDS[] = {
    {"TRACE", 1}, {"FINEST", 1},   {"DEBUG", 5}, {"FINE", 5},    {"INFO", 9},   {"INFORMATION", 9}, {"NOTICE", 10},
    {"WARN", 13}, {"WARNING", 13}, {"ERR", 17},  {"ERROR", 17},  {"SEVERE", 17}, {"CRIT", 21},       {"CRITICAL", 21},
    {"ALERT", 21}, {"FATAL", 21},  {"EMERG", 21}, {"EMERGENCY", 21}, {"PANIC", 21},
};

enum { LONGEST_WORD = 11 };

static int severity_of_word(Slice word)
{
    char upper[LONGEST_WORD + 1] = {0};
    if (word.len == 0 || word.len > LONGEST_WORD)
        return 0;
    for (size_t i = 0; i < word.len; i++)
        upper[i] = (char)(word.at[i] >= 'a' && word.at[i] <= 'z' ? word.at[i] - 32 : word.at[i]);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strlen(WORDS[i].word) == word.len && memcmp(WORDS[i].word, upper, word.len) == 0)
            return WORDS[i].severity;
    return 0;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r') || (byte >= 0x1c && byte <= 0x1f);
}

/* The severity number, from the text where it is unspecified; a text beyond ASCII is no word that is known. */
static int severity_of(const Log *log)
{
    Slice text = log->severity_text;
    if (log->severity > 0)
        return log->severity < HIGHEST_SEVERITY ? log->severity : HIGHEST_SEVERITY;
    if (!is_ascii(text.at, text.len))
        return 0;
    while (text.len && is_blank(*text.at))
        text.at++, text.len--;
    while (text.len && is_blank(text.at[text.len - 1]))
        text.len--;
    while (text.len && text.at[text.len - 1] >= '1' && text.at[text.len - 1] <= '4')
        text.len--;
    return severity_of_word(text);
}

/* Returns the text of a body; of a structured one its message, so that equal failures read alike. */
static bool message_of(Scan *s, const Value *body, Slice *message)
{
    if (body->kind != MAP)
        return text_of(s, body, s->limits.max_chars, message);
    for (Cursor c = again(s, body->bytes); c.at < c.end;) {
        uint32_t tag;
        Cursor inner;
        Slice key;
        Value value;
        if (!read_tag(&c, &tag))
            return false;
        if (tag != TAG(1, LEN)) {
            if (!skip_field(&c, tag))
                return false;
        } else if (!enter(&c, &inner) || !read_pair(s, &inner, &key, &value))
            return false;
        else if (same(key, LITERAL("message")) || same(key, LITERAL("msg")))
            return text_of(s, &value, s->limits.max_chars, message);
    }
    return text_of(s, body, s->limits.max_chars, message);
}

static bool read_log_field(Scan *s, Cursor *c, uint32_t tag, Log *log)
{
    Cursor inner;
    Slice text;
    Value value;
    switch (tag) {
    case TAG(1, FIXED64):
        return read_fixed64(c, &log->time);
    case TAG(11, FIXED64):
        return read_fixed64(c, &log->observed);
    case TAG(2, VARINT):
        return read_number(c, &log->severity);
    case TAG(3, LEN):
        return read_text(c, &log->severity_text);
    case TAG(5, LEN):
        return enter(c, &inner) && read_value(s, &inner, &log->body);
    case TAG(6, LEN):
        if (!enter(c, &inner) || !read_pair(s, &inner, &text, &value))
            return false;
        log->has_exception |= same(text, LITERAL("exception.type")) || same(text, LITERAL("exception.message")) ||
                              same(text, LITERAL("exception.stacktrace"));
        return true;
    case TAG(9, LEN):
        return read_slice(c, &log->trace_id);
    case TAG(10, LEN):
        return read_slice(c, &log->span_id);
    case TAG(12, LEN): /* event_name */
        return read_text(c, &text);
    default:
        return skip_field(c, tag);
    }
}

static bool note_failed_log(Scan *s, const Log *log, const Source *source, Error error)
{
    Attributes *all;
    if (!room_for_error(s))
        return true;
    if ((all = no_attributes(s)) == NULL)
        return false;
    note_kept(s, source, all);
    if (!note_attributes(s, all, log->whole, 6) || !message_of(s, &log->body, &error.message))
        return false;
    error.trace_id = id_of(s, log->trace_id, 16);
    error.span_id = id_of(s, log->span_id, 8);
    return note_error(s, error, all);
}

static bool read_log(Scan *s, Cursor *c, const Source *source)
{
    Log log = {.whole = rest(c)};
    Sums *sums;
    while (c->at < c->end) {
        uint32_t tag;
        if (!read_tag(c, &tag) || !read_log_field(s, c, tag, &log))
            return false;
    }
    int64_t time = time_of(log.time);
    time = time ? time : time_of(log.observed);
    if (!group_sums(s, source->service, s->whole, time, &sums))
        return false;
    if (sums == NULL)
        return true;
    s->counters[times_invalid] += time == INVALID_TIME;
    sums->count[LOGS]++;
    int severity = severity_of(&log);
    if (severity >= ERROR) {
        sums->count[ERRORS]++;
        Error error = {.from_log = true, .service = source->service, .operation = s->texts[s->whole].text,
                       .time = time, .severity = severity, .weight = 1};
        return note_failed_log(s, &log, source, error);
    }
    sums->count[WARNINGS] += severity >= WARN;
    sums->count[HANDLED] += log.has_exception;
    return true;
}

/* Counts one of what there may be so many of; empty resources, scopes and records cost their sender two bytes each. */
static bool admit(Scan *s, Py_ssize_t *left)
{
    s->unusual = *left == 0;
    --*left;
    return !s->unusual;
}

typedef bool Reader(Scan *, Cursor *, const Source *);

/* Reads a ScopeSpans or ScopeLogs. */
static bool read_scope(Scan *s, Cursor *c, const Source *source, Reader *read)
{
    while (c->at < c->end) {
        uint32_t tag;
        Cursor inner;
        Slice ignored;
        if (!read_tag(c, &tag))
            return false;
        bool taken = tag == TAG(1, LEN)   ? enter(c, &inner) && check_message(s, &inner, 1 << 1 | 1 << 2, 3)
                     : tag == TAG(2, LEN) ? admit(s, &s->records_left) && enter(c, &inner) && read(s, &inner, source)
                     : tag == TAG(3, LEN) ? read_text(c, &ignored)
                                          : skip_field(c, tag);
        if (!taken)
            return false;
    }
    return true;
}

/* Reads a ResourceSpans or ResourceLogs: its resource, then its records. */
static bool read_resource_records(Scan *s, const Cursor *whole, Reader *read)
{
    Resource resource = {0};
    Source source;
    for (int pass = 0; pass < 2; pass++) {
        for (Cursor c = *whole; c.at < c.end;) {
            uint32_t tag;
            Cursor inner;
            Slice ignored;
            if (!read_tag(&c, &tag))
                return false;
            bool taken = tag == TAG(1, LEN) && pass == 0   ? enter(&c, &inner) && read_resource(s, &inner, &resource)
                         : tag == TAG(2, LEN) && pass == 1 ? admit(s, &s->holders_left) && enter(&c, &inner) &&
                                                                 read_scope(s, &inner, &source, read)
                         : tag == TAG(3, LEN)              ? read_text(&c, &ignored)
                                                           : skip_field(&c, tag);
            if (!taken)
                return false;
        }
        if (pass == 0 && !note_source(s, &resource, &source))
            return false;
    }
    return true;
}

/* Reads an ExportTraceServiceRequest or ExportLogsServiceRequest. */
static bool read_request(Scan *s, Slice body, Reader *read)
{
    Cursor c = {body.at, body.at + body.len, MAX_NESTING, false, &s->why};
    while (c.at < c.end) {
        uint32_t tag;
        Cursor inner;
        if (!read_tag(&c, &tag))
            return false;
        if (tag != TAG(1, LEN)) {
            if (!skip_field(&c, tag))
                return false;
        } else if (!admit(s, &s->holders_left) || !enter(&c, &inner) || !read_resource_records(s, &inner, read))
            return false;
    }
    return true;
}

/* ---- 6. Results ---------------------------------------------------------------------------------------------- */

typedef struct {
    uint64_t seed[2];
    PyObject *span, *log; /* the words */
} State;

/* Returns a dataclass of values in the order of its fields. Takes the values, of which any may be NULL with an exception set. */
static PyObject *record(PyTypeObject *type, PyObject *const *values, size_t n)
{
    PyObject *fields = PyTuple_New((Py_ssize_t)n), *made = NULL;
    bool done = fields != NULL;
    for (size_t i = 0; i < n; i++) {
        done = done && values[i];
        if (fields == NULL)
            Py_XDECREF(values[i]);
        else if (PyTuple_SetItem(fields, (Py_ssize_t)i, values[i]) < 0)
            done = false;
    }
    /* Without memory for another part of the result its exception is set already, and nothing may be called then. */
    if (done && !PyErr_Occurred())
        made = PyObject_CallObject((PyObject *)type, fields);
    Py_XDECREF(fields);
    return made;
}

static PyObject *text_object(Slice text)
{
    return PyUnicode_FromStringAndSize(text.len ? (const char *)text.at : "", (Py_ssize_t)text.len);
}

/* Returns a text of the scan, the same object every time. */
static PyObject *place_object(Scan *s, uint32_t place)
{
    Text *text = &s->texts[place];
    if (text->object == NULL)
        text->object = text_object(text->text);
    Py_XINCREF(text->object);
    return text->object;
}

static PyObject *hex_object(Slice id)
{
    char hex[32];
    for (size_t i = 0; i < id.len; i++) {
        hex[2 * i] = "0123456789abcdef"[id.at[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[id.at[i] & 15];
    }
    return PyUnicode_FromStringAndSize(hex, (Py_ssize_t)id.len * 2);
}

static PyObject *attributes_object(const Scan *s, const Error *error)
{
    PyObject *all = PyDict_New();
    for (size_t i = 0; all && i < error->n_pairs; i++) {
        const Pair *pair = &error->pairs[i];
        PyObject *key;
        if (pair->rank < s->ranks->n) {
            key = PyTuple_GetItem(s->ranks->keys, (Py_ssize_t)pair->rank);
            Py_XINCREF(key);
        } else
            key = text_object(pair->key);
        PyObject *value = text_object(pair->value);
        if (key == NULL || value == NULL || PyDict_SetItem(all, key, value) < 0)
            Py_CLEAR(all);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return all;
}

/* The values of each stand in the order of the fields of ErrorRecord, Call and Presence. */
static PyObject *error_object(Scan *s, const State *state, PyTypeObject *type, size_t i)
{
    const Error *error = &s->errors[i];
    PyObject *source = error->from_log ? state->log : state->span;
    Py_INCREF(source);
    PyObject *const values[] = {
        source,
        place_object(s, error->service),
        text_object(error->operation),
        PyLong_FromLongLong(error->time),
        PyLong_FromLong(error->severity),
        hex_object(error->trace_id),
        hex_object(error->span_id),
        text_object(error->type),
        text_object(error->message),
        text_object(error->stack),
        attributes_object(s, error),
        PyFloat_FromDouble(error->weight),
    };
    return record(type, values, sizeof values / sizeof *values);
}

static PyObject *call_object(Scan *s, const State *state, PyTypeObject *type, size_t i)
{
    const uint64_t *key = s->calls.entries[i].key;
    PyObject *const values[] = {place_object(s, (uint32_t)key[0]), place_object(s, (uint32_t)key[1]),
                           PyFloat_FromDouble(s->call_counts[i].count), PyFloat_FromDouble(s->call_counts[i].failed)};
    (void)state;
    return record(type, values, sizeof values / sizeof *values);
}

static PyObject *presence_object(Scan *s, const State *state, PyTypeObject *type, size_t i)
{
    const uint64_t *key = s->presences.entries[i].key;
    PyObject *const values[] = {place_object(s, (uint32_t)key[0]), place_object(s, (uint32_t)key[1]),
                           place_object(s, (uint32_t)key[2])};
    (void)state;
    return record(type, values, sizeof values / sizeof *values);
}

typedef PyObject *Maker(Scan *, const State *, PyTypeObject *, size_t);

static PyObject *tuple_of(Scan *s, const State *state, PyTypeObject *type, size_t n, Maker *make)
{
    PyObject *all = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; all && i < n; i++) {
        PyObject *item = make(s, state, type, i);
        if (item == NULL || PyTuple_SetItem(all, (Py_ssize_t)i, item) < 0)
            Py_CLEAR(all);
    }
    return all;
}

/* Returns (series, group_series, group_time_s, counts, histogram); the arrays are bytearrays of 8-byte items. */
static PyObject *groups_object(Scan *s)
{
    Table rows = {0};
    Py_ssize_t n = (Py_ssize_t)s->groups.n;
    PyObject *series = PyList_New(0), *places = PyByteArray_FromStringAndSize(NULL, n * 8);
    PyObject *starts = PyByteArray_FromStringAndSize(NULL, n * 8);
    PyObject *counts = PyByteArray_FromStringAndSize(NULL, n * N_CHANNELS * 8);
    PyObject *histogram = PyByteArray_FromStringAndSize(NULL, n * N_BUCKETS * 8);
    bool done = series && places && starts && counts && histogram;
    for (Py_ssize_t i = 0; done && i < n; i++) {
        const uint64_t *key = s->groups.entries[i].key;
        int64_t tick = (int64_t)key[2], start = tick < 0 ? -1 : tick * s->limits.tick_s;
        size_t before = rows.n;
        int64_t row = table_place(s, &rows, key[0], key[1], 0, SIZE_MAX);
        done = row >= 0;
        if (done && rows.n > before) {
            PyObject *pair = Py_BuildValue("(NN)", place_object(s, (uint32_t)key[0]), place_object(s, (uint32_t)key[1]));
            done = pair && PyList_Append(series, pair) == 0;
            Py_XDECREF(pair);
        } else if (!done)
            PyErr_NoMemory();
        memcpy(PyByteArray_AsString(places) + i * 8, &row, 8);
        memcpy(PyByteArray_AsString(starts) + i * 8, &start, 8);
        memcpy(PyByteArray_AsString(counts) + i * N_CHANNELS * 8, s->sums[i].count, N_CHANNELS * 8);
        memcpy(PyByteArray_AsString(histogram) + i * N_BUCKETS * 8, s->sums[i].histogram, N_BUCKETS * 8);
    }
    free(rows.entries);
    free(rows.slots);
    PyObject *table = done ? PyList_AsTuple(series) : NULL;
    Py_XDECREF(series);
    return Py_BuildValue("(NNNNN)", table, places, starts, counts, histogram);
}

/* Returns (end_trace, end_span, end_service, end_role, services): ends of a sample of traces, and of those with errors. */
static PyObject *ends_object(Scan *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_ends; i++) {
        End *end = &s->ends[i];
        if (end->trace % (uint64_t)s->limits.span_end_sample == 0 || table_holds(s, &s->error_traces, end->trace))
            s->ends[n++] = *end;
    }
    PyObject *arrays[4], *services = PyList_New(0);
    bool done = services != NULL;
    for (int a = 0; a < 4; a++)
        done = (arrays[a] = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)n * 8)) != NULL && done;
    uint32_t n_services = 0;
    for (size_t i = 0; done && i < n; i++) {
        Text *service = &s->texts[s->ends[i].service];
        if (service->row == 0) {
            PyObject *name = place_object(s, s->ends[i].service);
            done = name && PyList_Append(services, name) == 0;
            Py_XDECREF(name);
            service->row = ++n_services;
        }
        const uint64_t items[4] = {s->ends[i].trace, s->ends[i].span, service->row - 1, s->ends[i].role};
        for (int a = 0; a < 4; a++)
            memcpy(PyByteArray_AsString(arrays[a]) + i * 8, &items[a], 8);
    }
    PyObject *table = done ? PyList_AsTuple(services) : NULL;
    Py_XDECREF(services);
    return Py_BuildValue("(NNNNN)", arrays[0], arrays[1], arrays[2], arrays[3], table);
}

static PyObject *counters_object(const Scan *s)
{
    PyObject *counters = PyDict_New();
    for (int i = 0; counters && i < N_COUNTERS; i++) {
        if (s->counters[i] == 0)
            continue;
        PyObject *count = PyLong_FromUnsignedLongLong(s->counters[i]);
        if (count == NULL || PyDict_SetItemString(counters, COUNTER_NAMES[i], count) < 0)
            Py_CLEAR(counters);
        Py_XDECREF(count);
    }
    return counters;
}

static void close_scan(Scan *s)
{
    for (size_t i = 0; s->texts && i < s->n_texts; i++)
        Py_XDECREF(s->texts[i].object);
    for (Block *next, *block = s->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    Table *tables[] = {&s->names, &s->groups, &s->calls, &s->presences, &s->error_traces};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        free(tables[i]->entries);
        free(tables[i]->slots);
    }
    free(s->writing.at);
    free(s->texts);
    free(s->text_slots);
    free(s->sums);
    free(s->call_counts);
    free(s->ends);
    free(s->errors);
}

/* A smaller body is read sooner than another thread would hand the interpreter's lock back. */
enum { UNLOCKED_FROM = 1 << 20 };

static bool run(Scan *s, Slice body, Reader *read)
{
    PyThreadState *unlocked = body.len >= UNLOCKED_FROM ? PyEval_SaveThread() : NULL;
    bool done = text_place(s, LITERAL("*"), &s->whole) && text_place(s, LITERAL("_other"), &s->other) &&
                text_place(s, LITERAL("unnamed"), &s->unnamed) && text_place(s, LITERAL("(*)"), &s->escaped) &&
                read_request(s, body, read);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    return done;
}

static bool set_ranks(Scan *s, Ranks *ranks)
{
    ranks->n = (size_t)PyTuple_Size(ranks->keys);
    if ((ranks->texts = keep(s, ranks->n * sizeof(Slice))) == NULL)
        return PyErr_NoMemory(), false;
    for (size_t i = 0; i < ranks->n; i++) {
        Py_ssize_t len;
        const char *at = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(ranks->keys, (Py_ssize_t)i), &len);
        if (at == NULL)
            return false;
        ranks->texts[i] = (Slice){(const uint8_t *)at, (size_t)len};
    }
    s->ranks = ranks;
    return true;
}

static PyObject *scan(PyObject *module, PyObject *args)
{
    const State *state = PyModule_GetState(module);
    Scan s = {.seed = state->seed};
    Ranks ranks = {0};
    Limits *l = &s.limits;
    PyObject *body, *result = NULL;
    PyTypeObject *error, *call, *presence;
    int logs;
    if (!PyArg_ParseTuple(args, "Sp(LLnnnnnnnn)O!(O!O!O!)", &body, &logs, &l->tick_s, &l->span_end_sample, &l->max_errors,
                          &l->max_chars, &l->max_attributes, &l->max_depth, &l->max_name_chars, &l->max_operations,
                          &l->max_rows, &s.records_left, &PyTuple_Type, &ranks.keys, &PyType_Type, &error, &PyType_Type, &call,
                          &PyType_Type, &presence))
        return NULL;
    if (l->tick_s < 1 || l->tick_s > INT64_MAX / 1000000000 || l->span_end_sample < 1 || l->max_errors < 0 ||
        l->max_chars < 0 || l->max_chars > INT32_MAX || l->max_attributes < 0 || l->max_name_chars < 1 ||
        l->max_name_chars > INT32_MAX || l->max_operations < 0 || l->max_rows < 0 || s.records_left < 0)
        return PyErr_Format(PyExc_OverflowError, "a limit is out of range");
    s.tick_ns = l->tick_s * 1000000000;
    s.holders_left = s.records_left;
    Slice bytes = {(const uint8_t *)PyBytes_AsString(body), (size_t)PyBytes_Size(body)};
    if (bytes.len > INT32_MAX)
        PyErr_SetString(PyExc_ValueError, "it is larger than 2 GiB");
    else if (!set_ranks(&s, &ranks))
        result = NULL; /* the exception is set */
    else if (run(&s, bytes, logs ? read_log : read_span))
        result = Py_BuildValue("(KKNNNNNN)", (unsigned long long)s.n_records, (unsigned long long)s.rejected, groups_object(&s),
                               ends_object(&s), tuple_of(&s, state, error, s.n_errors, error_object),
                               tuple_of(&s, state, call, s.calls.n, call_object),
                               tuple_of(&s, state, presence, s.presences.n, presence_object), counters_object(&s));
    else if (s.unusual) {
        result = Py_None;
        Py_INCREF(result);
    } else if (s.why)
        PyErr_SetString(PyExc_ValueError, s.why);
    else
        PyErr_NoMemory();
    close_scan(&s);
    return result;
}

static int open_module(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject *os = PyImport_ImportModule("os");
    PyObject *random = os ? PyObject_CallMethod(os, "urandom", "i", (int)sizeof state->seed) : NULL;
    if (random)
        memcpy(state->seed, PyBytes_AsString(random), sizeof state->seed);
    bool done = random && (state->span = PyUnicode_InternFromString("span")) &&
                (state->log = PyUnicode_InternFromString("log"));
    Py_XDECREF(os);
    Py_XDECREF(random);
    return done ? 0 : -1;
}

static void close_module(void *module)
{
    State *state = PyModule_GetState(module);
    if (state) {
        Py_CLEAR(state->span);
        Py_CLEAR(state->log);
    }
}

PyDoc_STRVAR(SCAN_DOC, "scan(body, logs, limits, ranks, types, /)\n--\n\n"
                       "Return what an OTLP request says, as app.ingest.scan takes it, None for one that Python is to read;\n"
                       "ValueError says what is malformed.");

static PyMethodDef METHODS[] = {{"scan", scan, METH_VARARGS, SCAN_DOC}, {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, open_module}, {0, NULL}};
static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_doc = "Reads the protobuf bodies of OTLP requests; see app.ingest.scan.",
    .m_size = sizeof(State),
    .m_methods = METHODS,
    .m_slots = SLOTS,
    .m_free = close_module,
};

PyMODINIT_FUNC PyInit__scan(void)
{
    return PyModuleDef_Init(&MODULE);
}

/*
 * Attribute values as they stand in a body (shapes.py): read, or only checked.
 */
#ifndef FORESHOCK_VALUES_H
#define FORESHOCK_VALUES_H

#include "storage.h"

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

/* A place in what was read before. */
static Cursor again(Scan *s, Slice bytes)
{
    return (Cursor){bytes.at, bytes.at + bytes.len, MAX_NESTING, true, &s->why};
}

#endif

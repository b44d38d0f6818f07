/*
 * Attribute values as text (attributes.py), of structures no more than is kept.
 */
#ifndef FORESHOCK_TEXT_H
#define FORESHOCK_TEXT_H

#include "values.h"
#include <float.h>
#include <math.h>
#include <stdio.h>

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

/* Raises the last digit of a number as "%e" writes it by one; false where all are nines. */
static bool raise_last(char *text)
{
    for (char *at = strchr(text, 'e'); at-- > text;) {
        if (*at < '0' || *at > '9')
            continue;
        if (*at != '9') {
            ++*at;
            return true;
        }
        *at = '0';
    }
    return false;
}

/* Finds the shortest digits that read back as a positive number; returns its exponent, that of the first digit. */
static int shortest(double number, char digits[17], int *n)
{
    char text[40];
    int exponent;
    /* Of a normal number 15 digits hold any that are fewer, with zeros behind them. */
    for (int precision = number < DBL_MIN ? 1 : DBL_DIG; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, number);
        if (strtod(text, NULL) == number)
            break;
        /* Below a power of two its neighbours are half as far as above, so the nearest digits may miss where the next above do not. */
        if (frexp(number, &exponent) == 0.5 && raise_last(text) && strtod(text, NULL) == number)
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

#endif

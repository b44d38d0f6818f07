/*
 * What is kept of a failure: its exception and its most telling attributes (tally.py, attributes.py).
 */
#ifndef FORESHOCK_ERRORS_H
#define FORESHOCK_ERRORS_H

#include "tally.h"
#include "text.h"

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

#endif

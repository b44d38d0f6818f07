/*
 * Blocks and tables that live for one scan. What is kept of the body are Slices into it.
 */
#ifndef FORESHOCK_STORAGE_H
#define FORESHOCK_STORAGE_H

#include "state.h"
#include <stdlib.h>

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

#endif

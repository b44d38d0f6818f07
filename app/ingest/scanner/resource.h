/*
 * Who sent the records that follow (tally.py).
 */
#ifndef FORESHOCK_RESOURCE_H
#define FORESHOCK_RESOURCE_H

#include "errors.h"

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

#endif

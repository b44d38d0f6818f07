/*
 * What is counted, and by which names: groups of service, operation and window, ends of calls, peers (tally.py, traffic.py).
 */
#ifndef FORESHOCK_TALLY_H
#define FORESHOCK_TALLY_H

#include "storage.h"

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

#endif

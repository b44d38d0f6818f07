/*
 * How many spans a sampled span stands for (sampling.py).
 */
#ifndef FORESHOCK_SAMPLING_H
#define FORESHOCK_SAMPLING_H

#include "storage.h"

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

#endif

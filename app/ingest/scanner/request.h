/*
 * A request: its resources, their scopes and records. A resource may follow its records, so it is looked for first.
 */
#ifndef FORESHOCK_REQUEST_H
#define FORESHOCK_REQUEST_H

#include "resource.h"

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

#endif

/*
 * Spans: traffic, failures, calls (spans.py, rows.py).
 */
#ifndef FORESHOCK_SPANS_H
#define FORESHOCK_SPANS_H

#include "resource.h"
#include "sampling.h"

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

#endif

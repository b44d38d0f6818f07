/*
 * Log records: by severity, and failures (logs.py).
 */
#ifndef FORESHOCK_LOGS_H
#define FORESHOCK_LOGS_H

#include "resource.h"

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

#endif

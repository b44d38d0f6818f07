/*
 * What one scan knows: the limits that it keeps to, what it counted and kept of the body, and why it ended early.
 */
#ifndef FORESHOCK_STATE_H
#define FORESHOCK_STATE_H

#include "wire.h"

enum { SERVICE = 0, INSTANCE, POD, NODE, HOST, VERSION, FUNCTION, N_RESOURCE_KEYS };

/* Keys of a resource that are read; all but the first are kept for its errors. */
static const Slice RESOURCE_KEYS[N_RESOURCE_KEYS] = {
    [SERVICE] = FIXED("service.name"), [INSTANCE] = FIXED("service.instance.id"),
    [POD] = FIXED("k8s.pod.name"),     [NODE] = FIXED("k8s.node.name"),
    [HOST] = FIXED("host.name"),       [VERSION] = FIXED("service.version"),
    [FUNCTION] = FIXED("faas.name"),
};

enum { N_PEERS = 5 };

/* Attributes that name the other end of a call, the best first. */
static const Slice PEER_KEYS[N_PEERS] = {
    FIXED("peer.service"), FIXED("server.address"),             FIXED("net.peer.name"),
    FIXED("rpc.service"),  FIXED("messaging.destination.name"),
};

#define COUNTERS(X)                                                                                                    \
    X(ids_invalid) X(times_invalid) X(durations_invalid) X(weights_invalid) X(weights_capped) X(operations_folded)     \
    X(names_cut) X(attributes_cut) X(attributes_deep) X(attributes_dropped)                                             \
    X(errors_not_decoded) X(presences_dropped) X(calls_dropped)
#define AS_ENUM(name) name,
#define AS_TEXT(name) #name,
enum { COUNTERS(AS_ENUM) N_COUNTERS };
static const char *const COUNTER_NAMES[N_COUNTERS] = {COUNTERS(AS_TEXT)};

/* features.batch.CHANNELS, in its order. */
enum { TOTAL, FAILED, SERVER_ERRORS, ERRORS, WARNINGS, HANDLED, INNER, LOGS, SERVED, DURATION_SUM, DURATION_MAX, N_CHANNELS };
enum { N_BUCKETS = 16 };

typedef struct {
    long long tick_s, span_end_sample;
    Py_ssize_t max_errors, max_chars, max_attributes, max_depth, max_name_chars, max_operations, max_rows;
} Limits;

/* A text of the scan, once; the tables below hold its place. */
typedef struct {
    Slice text;
    uint64_t hash;
    uint32_t n_operations; /* as a service: how many names of operations it has */
    uint32_t row;          /* as a service with span ends: its place in their table, plus one */
    PyObject *object;
} Text;

/* An entry of a table; `value` is the table's business. */
typedef struct {
    uint64_t key[3];
    uint64_t value;
} Entry;

typedef struct {
    Entry *entries; /* in order of arrival */
    uint32_t *slots; /* place of an entry plus one, by hash */
    size_t n, room, n_slots;
} Table;

typedef struct {
    double count[N_CHANNELS];
    double histogram[N_BUCKETS];
} Sums;

typedef struct {
    uint64_t trace, span;
    uint32_t service, role;
} End;

typedef struct {
    double count, failed;
} Calls;

typedef struct {
    Slice key, value;
    size_t rank;
} Pair;

typedef struct {
    bool from_log;
    uint32_t service;
    Slice operation, type, message, stack;
    int64_t time;
    int severity;
    Slice trace_id, span_id;
    Pair *pairs;
    size_t n_pairs;
    double weight;
} Error;

/* Keys of attributes that say what kind of failure it was, the most telling first; given by Python. */
typedef struct {
    PyObject *keys; /* the tuple that the rest was made of */
    Slice *texts;
    size_t n;
} Ranks;

typedef struct Block {
    struct Block *next;
    size_t used, size;
    uint64_t bytes[];
} Block;

/* The text of a value, while it is written. */
typedef struct {
    uint8_t *at;
    size_t len, room;
    Py_ssize_t chars_left; /* that are still written */
    bool left_out; /* whether something was, of a structure */
} Writing;

typedef struct {
    const char *why; /* what is wrong with the body */
    bool unusual; /* it holds too many records, or what no library writes: the reader in Python says what it is */
    const uint64_t *seed;
    const Ranks *ranks;
    Limits limits;
    int64_t tick_ns;
    Block *blocks;
    Text *texts;
    uint32_t *text_slots;
    size_t n_texts, texts_room, n_text_slots;
    uint32_t whole, other, unnamed, escaped; /* texts: *, _other, unnamed, (*) */
    Table names;    /* service, name of an operation -> its text */
    Table groups;   /* service, operation, tick */
    Table calls;    /* caller, callee */
    Table presences; /* service, instance, version */
    Table error_traces;
    struct Attributes *attributes; /* of the error that is being looked at */
    Sums *sums; /* of each group */
    Calls *call_counts;
    End *ends;
    Error *errors;
    size_t sums_room, calls_room, n_ends, ends_room, n_errors, errors_room;
    uint64_t n_records, rejected;
    Writing writing;
    Py_ssize_t records_left, holders_left; /* how many records, and resources and scopes, may still come */
    uint64_t counters[N_COUNTERS];
} Scan;

#endif

/*
 * What was found as objects of Python, in the form that scan.py takes.
 */
#ifndef FORESHOCK_RESULTS_H
#define FORESHOCK_RESULTS_H

#include "errors.h"

typedef struct {
    uint64_t seed[2];
    PyObject *span, *log; /* the words */
} State;

/* Returns a dataclass of values in the order of its fields. Takes the values, of which any may be NULL with an exception set. */
static PyObject *record(PyTypeObject *type, PyObject *const *values, size_t n)
{
    PyObject *fields = PyTuple_New((Py_ssize_t)n), *made = NULL;
    bool done = fields != NULL;
    for (size_t i = 0; i < n; i++) {
        done = done && values[i];
        if (fields == NULL)
            Py_XDECREF(values[i]);
        else if (PyTuple_SetItem(fields, (Py_ssize_t)i, values[i]) < 0)
            done = false;
    }
    /* Without memory for another part of the result its exception is set already, and nothing may be called then. */
    if (done && !PyErr_Occurred())
        made = PyObject_CallObject((PyObject *)type, fields);
    Py_XDECREF(fields);
    return made;
}

static PyObject *text_object(Slice text)
{
    return PyUnicode_FromStringAndSize(text.len ? (const char *)text.at : "", (Py_ssize_t)text.len);
}

/* Returns a text of the scan, the same object every time. */
static PyObject *place_object(Scan *s, uint32_t place)
{
    Text *text = &s->texts[place];
    if (text->object == NULL)
        text->object = text_object(text->text);
    Py_XINCREF(text->object);
    return text->object;
}

static PyObject *hex_object(Slice id)
{
    char hex[32];
    for (size_t i = 0; i < id.len; i++) {
        hex[2 * i] = "0123456789abcdef"[id.at[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[id.at[i] & 15];
    }
    return PyUnicode_FromStringAndSize(hex, (Py_ssize_t)id.len * 2);
}

static PyObject *attributes_object(const Scan *s, const Error *error)
{
    PyObject *all = PyDict_New();
    for (size_t i = 0; all && i < error->n_pairs; i++) {
        const Pair *pair = &error->pairs[i];
        PyObject *key;
        if (pair->rank < s->ranks->n) {
            key = PyTuple_GetItem(s->ranks->keys, (Py_ssize_t)pair->rank);
            Py_XINCREF(key);
        } else
            key = text_object(pair->key);
        PyObject *value = text_object(pair->value);
        if (key == NULL || value == NULL || PyDict_SetItem(all, key, value) < 0)
            Py_CLEAR(all);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return all;
}

/* The values of each stand in the order of the fields of ErrorRecord, Call and Presence. */
static PyObject *error_object(Scan *s, const State *state, PyTypeObject *type, size_t i)
{
    const Error *error = &s->errors[i];
    PyObject *source = error->from_log ? state->log : state->span;
    Py_INCREF(source);
    PyObject *const values[] = {
        source,
        place_object(s, error->service),
        text_object(error->operation),
        PyLong_FromLongLong(error->time),
        PyLong_FromLong(error->severity),
        hex_object(error->trace_id),
        hex_object(error->span_id),
        text_object(error->type),
        text_object(error->message),
        text_object(error->stack),
        attributes_object(s, error),
        PyFloat_FromDouble(error->weight),
    };
    return record(type, values, sizeof values / sizeof *values);
}

static PyObject *call_object(Scan *s, const State *state, PyTypeObject *type, size_t i)
{
    const uint64_t *key = s->calls.entries[i].key;
    PyObject *const values[] = {place_object(s, (uint32_t)key[0]), place_object(s, (uint32_t)key[1]),
                           PyFloat_FromDouble(s->call_counts[i].count), PyFloat_FromDouble(s->call_counts[i].failed)};
    (void)state;
    return record(type, values, sizeof values / sizeof *values);
}

static PyObject *presence_object(Scan *s, const State *state, PyTypeObject *type, size_t i)
{
    const uint64_t *key = s->presences.entries[i].key;
    PyObject *const values[] = {place_object(s, (uint32_t)key[0]), place_object(s, (uint32_t)key[1]),
                           place_object(s, (uint32_t)key[2])};
    (void)state;
    return record(type, values, sizeof values / sizeof *values);
}

typedef PyObject *Maker(Scan *, const State *, PyTypeObject *, size_t);

static PyObject *tuple_of(Scan *s, const State *state, PyTypeObject *type, size_t n, Maker *make)
{
    PyObject *all = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; all && i < n; i++) {
        PyObject *item = make(s, state, type, i);
        if (item == NULL || PyTuple_SetItem(all, (Py_ssize_t)i, item) < 0)
            Py_CLEAR(all);
    }
    return all;
}

/* Returns (series, group_series, group_time_s, counts, histogram); the arrays are bytearrays of 8-byte items. */
static PyObject *groups_object(Scan *s)
{
    Table rows = {0};
    Py_ssize_t n = (Py_ssize_t)s->groups.n;
    PyObject *series = PyList_New(0), *places = PyByteArray_FromStringAndSize(NULL, n * 8);
    PyObject *starts = PyByteArray_FromStringAndSize(NULL, n * 8);
    PyObject *counts = PyByteArray_FromStringAndSize(NULL, n * N_CHANNELS * 8);
    PyObject *histogram = PyByteArray_FromStringAndSize(NULL, n * N_BUCKETS * 8);
    bool done = series && places && starts && counts && histogram;
    for (Py_ssize_t i = 0; done && i < n; i++) {
        const uint64_t *key = s->groups.entries[i].key;
        int64_t tick = (int64_t)key[2], start = tick < 0 ? -1 : tick * s->limits.tick_s;
        size_t before = rows.n;
        int64_t row = table_place(s, &rows, key[0], key[1], 0, SIZE_MAX);
        done = row >= 0;
        if (done && rows.n > before) {
            PyObject *pair = Py_BuildValue("(NN)", place_object(s, (uint32_t)key[0]), place_object(s, (uint32_t)key[1]));
            done = pair && PyList_Append(series, pair) == 0;
            Py_XDECREF(pair);
        } else if (!done)
            PyErr_NoMemory();
        memcpy(PyByteArray_AsString(places) + i * 8, &row, 8);
        memcpy(PyByteArray_AsString(starts) + i * 8, &start, 8);
        memcpy(PyByteArray_AsString(counts) + i * N_CHANNELS * 8, s->sums[i].count, N_CHANNELS * 8);
        memcpy(PyByteArray_AsString(histogram) + i * N_BUCKETS * 8, s->sums[i].histogram, N_BUCKETS * 8);
    }
    free(rows.entries);
    free(rows.slots);
    PyObject *table = done ? PyList_AsTuple(series) : NULL;
    Py_XDECREF(series);
    return Py_BuildValue("(NNNNN)", table, places, starts, counts, histogram);
}

/* Returns (end_trace, end_span, end_service, end_role, services): ends of a sample of traces, and of those with errors. */
static PyObject *ends_object(Scan *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_ends; i++) {
        End *end = &s->ends[i];
        if (end->trace % (uint64_t)s->limits.span_end_sample == 0 || table_holds(s, &s->error_traces, end->trace))
            s->ends[n++] = *end;
    }
    PyObject *arrays[4], *services = PyList_New(0);
    bool done = services != NULL;
    for (int a = 0; a < 4; a++)
        done = (arrays[a] = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)n * 8)) != NULL && done;
    uint32_t n_services = 0;
    for (size_t i = 0; done && i < n; i++) {
        Text *service = &s->texts[s->ends[i].service];
        if (service->row == 0) {
            PyObject *name = place_object(s, s->ends[i].service);
            done = name && PyList_Append(services, name) == 0;
            Py_XDECREF(name);
            service->row = ++n_services;
        }
        const uint64_t items[4] = {s->ends[i].trace, s->ends[i].span, service->row - 1, s->ends[i].role};
        for (int a = 0; a < 4; a++)
            memcpy(PyByteArray_AsString(arrays[a]) + i * 8, &items[a], 8);
    }
    PyObject *table = done ? PyList_AsTuple(services) : NULL;
    Py_XDECREF(services);
    return Py_BuildValue("(NNNNN)", arrays[0], arrays[1], arrays[2], arrays[3], table);
}

static PyObject *counters_object(const Scan *s)
{
    PyObject *counters = PyDict_New();
    for (int i = 0; counters && i < N_COUNTERS; i++) {
        if (s->counters[i] == 0)
            continue;
        PyObject *count = PyLong_FromUnsignedLongLong(s->counters[i]);
        if (count == NULL || PyDict_SetItemString(counters, COUNTER_NAMES[i], count) < 0)
            Py_CLEAR(counters);
        Py_XDECREF(count);
    }
    return counters;
}

static void close_scan(Scan *s)
{
    for (size_t i = 0; s->texts && i < s->n_texts; i++)
        Py_XDECREF(s->texts[i].object);
    for (Block *next, *block = s->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    Table *tables[] = {&s->names, &s->groups, &s->calls, &s->presences, &s->error_traces};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        free(tables[i]->entries);
        free(tables[i]->slots);
    }
    free(s->writing.at);
    free(s->texts);
    free(s->text_slots);
    free(s->sums);
    free(s->call_counts);
    free(s->ends);
    free(s->errors);
}

#endif

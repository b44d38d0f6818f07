/*
 * Reads the protobuf body of an OTLP request, traces or logs, in one pass, and counts what it says.
 *
 * `app.ingest.scan` calls the one function here, `scan`, and makes a Batch of what it returns. The readers in
 * Python (spans.py, logs.py, tally.py, traffic.py, ...) say what is counted and how; this does the same without
 * making an object of every span. Both must give equal Batches and refuse the same bodies: those that upb, the
 * parser under Google's protobuf for Python, refuses.
 *
 * The parts, one compilation, each on top of those before it:
 *   wire.h      bytes: cursors, varints, UTF-8                   sampling.h  the weight of a span
 *   state.h     what one scan knows                              spans.h     spans
 *   storage.h   blocks and tables that live for one scan         logs.h      log records
 *   values.h    attribute values, text.h their texts             request.h   resources, scopes and records
 *   tally.h     counts, errors.h what is kept of failures        results.h   Python objects, made at the end
 *   resource.h  who sent it
 * All before the results runs without the interpreter's lock if the body is large.
 *
 * Functions that can fail return false: the body is malformed (Scan.why says how), it is one for the reader in Python
 * (Scan.unusual) or memory ran out.
 */
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "scanner/logs.h"
#include "scanner/request.h"
#include "scanner/results.h"
#include "scanner/spans.h"

/* A smaller body is read sooner than another thread would hand the interpreter's lock back. */
enum { UNLOCKED_FROM = 1 << 20 };

static bool run(Scan *s, Slice body, Reader *read)
{
    PyThreadState *unlocked = body.len >= UNLOCKED_FROM ? PyEval_SaveThread() : NULL;
    bool done = text_place(s, LITERAL("*"), &s->whole) && text_place(s, LITERAL("_other"), &s->other) &&
                text_place(s, LITERAL("unnamed"), &s->unnamed) && text_place(s, LITERAL("(*)"), &s->escaped) &&
                read_request(s, body, read);
    if (unlocked)
        PyEval_RestoreThread(unlocked);
    return done;
}

static bool set_ranks(Scan *s, Ranks *ranks)
{
    ranks->n = (size_t)PyTuple_Size(ranks->keys);
    if ((ranks->texts = keep(s, ranks->n * sizeof(Slice))) == NULL)
        return PyErr_NoMemory(), false;
    for (size_t i = 0; i < ranks->n; i++) {
        Py_ssize_t len;
        const char *at = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(ranks->keys, (Py_ssize_t)i), &len);
        if (at == NULL)
            return false;
        ranks->texts[i] = (Slice){(const uint8_t *)at, (size_t)len};
    }
    s->ranks = ranks;
    return true;
}

static PyObject *scan(PyObject *module, PyObject *args)
{
    const State *state = PyModule_GetState(module);
    Scan s = {.seed = state->seed};
    Ranks ranks = {0};
    Limits *l = &s.limits;
    PyObject *body, *result = NULL;
    PyTypeObject *error, *call, *presence;
    int logs;
    if (!PyArg_ParseTuple(args, "Sp(LLnnnnnnnn)O!(O!O!O!)", &body, &logs, &l->tick_s, &l->span_end_sample, &l->max_errors,
                          &l->max_chars, &l->max_attributes, &l->max_depth, &l->max_name_chars, &l->max_operations,
                          &l->max_rows, &s.records_left, &PyTuple_Type, &ranks.keys, &PyType_Type, &error, &PyType_Type, &call,
                          &PyType_Type, &presence))
        return NULL;
    if (l->tick_s < 1 || l->tick_s > INT64_MAX / 1000000000 || l->span_end_sample < 1 || l->max_errors < 0 ||
        l->max_chars < 0 || l->max_chars > INT32_MAX || l->max_attributes < 0 || l->max_name_chars < 1 ||
        l->max_name_chars > INT32_MAX || l->max_operations < 0 || l->max_rows < 0 || s.records_left < 0)
        return PyErr_Format(PyExc_OverflowError, "a limit is out of range");
    s.tick_ns = l->tick_s * 1000000000;
    s.holders_left = s.records_left;
    Slice bytes = {(const uint8_t *)PyBytes_AsString(body), (size_t)PyBytes_Size(body)};
    if (bytes.len > INT32_MAX)
        PyErr_SetString(PyExc_ValueError, "it is larger than 2 GiB");
    else if (!set_ranks(&s, &ranks))
        result = NULL; /* the exception is set */
    else if (run(&s, bytes, logs ? read_log : read_span))
        result = Py_BuildValue("(KKNNNNNN)", (unsigned long long)s.n_records, (unsigned long long)s.rejected, groups_object(&s),
                               ends_object(&s), tuple_of(&s, state, error, s.n_errors, error_object),
                               tuple_of(&s, state, call, s.calls.n, call_object),
                               tuple_of(&s, state, presence, s.presences.n, presence_object), counters_object(&s));
    else if (s.unusual) {
        result = Py_None;
        Py_INCREF(result);
    } else if (s.why)
        PyErr_SetString(PyExc_ValueError, s.why);
    else
        PyErr_NoMemory();
    close_scan(&s);
    return result;
}

static int open_module(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject *os = PyImport_ImportModule("os");
    PyObject *random = os ? PyObject_CallMethod(os, "urandom", "i", (int)sizeof state->seed) : NULL;
    if (random)
        memcpy(state->seed, PyBytes_AsString(random), sizeof state->seed);
    bool done = random && (state->span = PyUnicode_InternFromString("span")) &&
                (state->log = PyUnicode_InternFromString("log"));
    Py_XDECREF(os);
    Py_XDECREF(random);
    return done ? 0 : -1;
}

static void close_module(void *module)
{
    State *state = PyModule_GetState(module);
    if (state) {
        Py_CLEAR(state->span);
        Py_CLEAR(state->log);
    }
}

PyDoc_STRVAR(SCAN_DOC, "scan(body, logs, limits, ranks, types, /)\n--\n\n"
                       "Return what an OTLP request says, as app.ingest.scan takes it, None for one that Python is to read;\n"
                       "ValueError says what is malformed.");

static PyMethodDef METHODS[] = {{"scan", scan, METH_VARARGS, SCAN_DOC}, {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, open_module}, {0, NULL}};
static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_doc = "Reads the protobuf bodies of OTLP requests; see app.ingest.scan.",
    .m_size = sizeof(State),
    .m_methods = METHODS,
    .m_slots = SLOTS,
    .m_free = close_module,
};

PyMODINIT_FUNC PyInit__scan(void)
{
    return PyModuleDef_Init(&MODULE);
}

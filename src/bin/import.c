/* kb import -- every entry of a file becomes a document.
 *
 * Happy path: entries are read into a batch; when it is full it is sent, while up to WINDOW_BATCHES
 * before it wait for their replies; so reading, sending and storing go on side by side, in the
 * memory of that many batches. Each document carries its source (file, digest, how many-th with
 * that digest): what an instance has already, it passes over. So nothing is lost or doubled by
 * beginning again, and every failure here ends with the same advice.
 *
 * Failures: an instance that is busy or being restarted is asked again for a while, by libosiris.
 * Anything else, Ctrl-C included, stops the reading; what is under way is waited for a little, so
 * that the counts are right. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/occurrences.h"
#include "base/text.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/document.h"
#include "bin/entry_reader.h"
#include "bin/progress.h"

enum {
    BATCH_DOCUMENTS_MAX = 512,
    BATCH_BYTES_MAX = 256 << 10, /* of data, unless a single entry is larger */
    WINDOW_BATCHES = 8,          /* under way at a time */
    READ_BYTES = 256 << 10,
    /* Input that pauses so long has its entries sent: `tail -f | osiris kb import -`. */
    INPUT_PAUSE_MS = 200,
    /* For a batch that the instance cannot take now: a restart, a burst of other writes. */
    RETRY_MS_MAX = 10 * 1000,
    /* What is under way when the import stops is waited for so long. */
    LAST_REPLIES_MS = 5000,
};

struct entry {
    size_t data_end; /* in the batch's data; it begins where the one before ends */
    struct osr_hash digest;
    uint64_t position;
    uint64_t occurrence;
};

/* Entries that were read and not sent. */
struct batch {
    struct osr_buffer data;
    struct entry entries[BATCH_DOCUMENTS_MAX];
    size_t count;
};

struct import;

/* A batch that was sent. */
struct sent {
    struct import *import;
    bool is_under_way;
    uint64_t call;
    uint64_t input_end; /* bytes of input read when its last entry was */
};

/* The messages of one request: built for sending, then used for the next one. */
struct request_messages {
    Osr__Document documents[BATCH_DOCUMENTS_MAX];
    Osr__Document *pointers[BATCH_DOCUMENTS_MAX];
    Osr__Json data[BATCH_DOCUMENTS_MAX];
    Osr__Source sources[BATCH_DOCUMENTS_MAX];
};

struct import {
    struct osr_context *context;
    Osr__Document pattern; /* collection, kind, tags, ... of all documents */
    uint32_t acks;
    char *source_name;

    int fd;
    bool is_file;        /* of known size, to be read to its end without a pause */
    uint64_t input_size; /* 0: not known */
    uint64_t input_read; /* bytes */
    struct osr_entry_reader reader;
    struct osr_occurrences occurrences;

    struct batch batch;
    struct request_messages *messages;
    struct sent window[WINDOW_BATCHES];

    uint64_t done_bytes; /* of input, whose entries were answered */
    uint64_t imported, existed, sequence;
    struct osr_err failure; /* the first error that a reply brought; code OK: none */
    struct osr_progress progress;
};

/* ---- batches ---- */

static bool is_full(const struct batch *batch)
{
    return batch->count == BATCH_DOCUMENTS_MAX || batch->data.size >= BATCH_BYTES_MAX;
}

static void add_entry(struct import *import, struct osr_slice data)
{
    struct batch *batch = &import->batch;
    struct entry *entry = &batch->entries[batch->count++];
    osr_buffer_add(&batch->data, data.data, data.size);
    entry->data_end = batch->data.size;
    entry->digest = osr_sha256(&data, 1);
    entry->position = import->reader.count - 1;
    entry->occurrence = osr_occurrences_next(&import->occurrences, &entry->digest);
}

static void fill_document(struct import *import, size_t i)
{
    struct request_messages *messages = import->messages;
    struct batch *batch = &import->batch;
    struct entry *entry = &batch->entries[i];
    size_t begin = i == 0 ? 0 : batch->entries[i - 1].data_end;
    messages->data[i] = (Osr__Json)OSR__JSON__INIT;
    messages->data[i].text.data = batch->data.data + begin;
    messages->data[i].text.len = entry->data_end - begin;
    messages->sources[i] = (Osr__Source)OSR__SOURCE__INIT;
    messages->sources[i].name = import->source_name;
    messages->sources[i].position = entry->position;
    messages->sources[i].digest.data = entry->digest.bytes;
    messages->sources[i].digest.len = sizeof(entry->digest.bytes);
    messages->sources[i].occurrence = entry->occurrence;
    messages->documents[i] = import->pattern;
    messages->documents[i].data = &messages->data[i];
    messages->documents[i].source = &messages->sources[i];
    messages->pointers[i] = &messages->documents[i];
}

/* Appends the batch as an ImportRequest, and empties it. */
static void encode_batch(struct import *import, struct osr_buffer *buffer)
{
    struct batch *batch = &import->batch;
    for (size_t i = 0; i < batch->count; i++) {
        fill_document(import, i);
    }
    Osr__ImportRequest request = OSR__IMPORT_REQUEST__INIT;
    request.documents = import->messages->pointers;
    request.n_documents = batch->count;
    request.acks = import->acks;
    request.timeout_ms = import->context->acks_timeout_ms;
    osr_message_encode(OSR_CODEC_PROTOBUF, &request.base, buffer);
    batch->count = 0;
    batch->data.size = 0;
}

/* ---- replies ---- */

static void count_reply(struct sent *sent, const Osr__ImportResponse *response)
{
    struct import *import = sent->import;
    import->imported += response->imported;
    import->existed += response->existed;
    if (response->sequence > import->sequence) {
        import->sequence = response->sequence;
    }
    if (sent->input_end > import->done_bytes) {
        import->done_bytes = sent->input_end;
    }
    osr_progress_show(&import->progress, import->done_bytes, import->input_size,
                      import->imported + import->existed);
}

static int on_reply(void *context, const char *reply, size_t size)
{
    struct sent *sent = context;
    struct import *import = sent->import;
    struct osr_arena *arena = import->context->arena;
    ProtobufCMessage *message;
    osr_arena_reset(arena);
    int code = osr_message_decode(OSR_CODEC_PROTOBUF, &osr__import_response__descriptor,
                                  osr_slice(reply, size), arena, &message, &import->failure);
    if (code == OSR_OK) {
        count_reply(sent, (const Osr__ImportResponse *)message);
    }
    return code;
}

static void on_end(void *context, const struct osiris_error *error)
{
    struct sent *sent = context;
    sent->is_under_way = false;
    if (error != NULL && sent->import->failure.code == OSR_OK) {
        osr_context_fail(&sent->import->failure, error);
    }
}

/* ---- sending ---- */

/* Waits until at most `count` batches are under way; none of the replies so far was bad. */
static int await_replies(struct import *import, size_t count, struct osr_err *err)
{
    struct osiris_error error;
    int code = osiris_run(import->context->client, count, 0, &error);
    if (import->failure.code != OSR_OK) {
        *err = import->failure;
        return err->code;
    }
    return code == OSIRIS_OK ? OSR_OK : osr_context_fail(err, &error);
}

static struct sent *free_place(struct import *import)
{
    size_t i = 0;
    while (i < WINDOW_BATCHES && import->window[i].is_under_way) {
        i++;
    }
    assert(i < WINDOW_BATCHES); /* await_replies left one */
    return &import->window[i];
}

/* What was read and not sent. */
static int send_batch(struct import *import, struct osr_err *err)
{
    if (import->batch.count == 0) {
        return OSR_OK;
    }
    struct sent *sent = free_place(import);
    struct osr_buffer request = {0};
    struct osiris_error error;
    sent->import = import;
    sent->input_end = import->input_read - (import->reader.input.size - import->reader.consumed);
    encode_batch(import, &request);
    int code = osiris_start_protobuf(import->context->client, "kb_import", request.data,
                                     request.size, on_reply, on_end, sent, &sent->call, &error);
    osr_buffer_done(&request);
    if (code != OSIRIS_OK) {
        return osr_context_fail(err, &error);
    }
    sent->is_under_way = true;
    return await_replies(import, WINDOW_BATCHES - 1, err);
}

/* Those that are still under way must not tell an import that is gone. */
static void cancel_all(struct import *import)
{
    for (size_t i = 0; i < WINDOW_BATCHES; i++) {
        if (import->window[i].is_under_way) {
            osiris_cancel(import->context->client, import->window[i].call, NULL);
        }
    }
}

/* ---- input ---- */

static int open_input(struct import *import, const char *path, struct osr_err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    import->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (import->fd < 0) {
        return osr_err_errno(err, errno == ENOENT ? OSR_NOT_FOUND : OSR_IO, errno, "%s", path);
    }
    struct stat status;
    if (fstat(import->fd, &status) != 0) {
        return osr_err_errno(err, OSR_IO, errno, "%s", path);
    }
    if (S_ISDIR(status.st_mode)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%s is a folder", path);
    }
    import->is_file = S_ISREG(status.st_mode);
    import->input_size = import->is_file ? (uint64_t)status.st_size : 0;
    return OSR_OK;
}

/* --source, or the file's path without detours, so that it is the same from every folder. */
static int name_source(struct import *import, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    const char *path = arguments->operands[0];
    if (osr_arguments_has(arguments, OSR_FLAG_SOURCE)) {
        import->source_name = osr_strdup(arguments->values[OSR_FLAG_SOURCE]);
    } else if (strcmp(path, "-") == 0) {
        import->source_name = osr_strdup("stdin");
    } else {
        import->source_name = realpath(path, NULL);
    }
    if (import->source_name == NULL) {
        return osr_err_errno(err, OSR_IO, errno, "%s", path);
    }
    size_t size = strlen(import->source_name);
    if (size == 0 || size > OSR_SOURCE_NAME_BYTES_MAX) {
        osr_err_set(err, OSR_INVALID_ARGUMENT,
                    "the source's name has %zu bytes; 1 to %d are wanted", size,
                    OSR_SOURCE_NAME_BYTES_MAX);
        osr_err_hint(err, "name it with --source NAME");
        return OSR_INVALID_ARGUMENT;
    }
    return OSR_OK;
}

/* The input has made a pause: what is complete is not held back. */
static int use_pause(struct import *import, struct osr_err *err)
{
    osr_entry_reader_decide(&import->reader);
    return send_batch(import, err);
}

/* Waits for a piece of input while replies come in. Afterwards the reader has more, or its end, or
 * the input has made a pause. */
static int read_input(struct import *import, struct osr_err *err)
{
    bool can_use_pause = import->batch.count > 0 || !import->reader.decide_now;
    uint32_t timeout_ms = !import->is_file && can_use_pause ? INPUT_PAUSE_MS : 0;
    struct osiris_error error;
    int code = osiris_run_until_readable(import->context->client, import->fd, timeout_ms, &error);
    if (code == OSIRIS_TIMEOUT) {
        return use_pause(import, err);
    }
    if (code != OSIRIS_OK) {
        return osr_context_fail(err, &error);
    }
    uint8_t *room = osr_entry_reader_room(&import->reader, READ_BYTES);
    ssize_t got = read(import->fd, room, READ_BYTES);
    if (got < 0) {
        return osr_err_errno(err, OSR_IO, errno, "cannot read %s", import->source_name);
    }
    if (got == 0) {
        osr_entry_reader_end(&import->reader);
    } else {
        osr_entry_reader_added(&import->reader, (size_t)got);
    }
    import->input_read += (uint64_t)got;
    return OSR_OK;
}

/* ---- the import ---- */

static int take_entry(struct import *import, struct osr_slice data, struct osr_err *err)
{
    add_entry(import, data);
    return is_full(&import->batch) ? send_batch(import, err) : OSR_OK;
}

/* Reads to the end of the input. What was read is sent but for a part of a batch. */
static int read_all(struct import *import, struct osr_err *err)
{
    for (;;) {
        struct osr_slice data;
        int code = osr_entry_reader_next(&import->reader, &data, err);
        if (code == OSR_OK && data.size > 0) {
            code = take_entry(import, data, err);
        } else if (code == OSR_OK && import->reader.ended) {
            return OSR_OK;
        } else if (code == OSR_OK) {
            code = read_input(import, err);
        }
        if (code != OSR_OK) {
            return code;
        }
    }
}

static int run_import(struct import *import, struct osr_err *err)
{
    int read_code = read_all(import, err);
    if (read_code == OSR_CANCELLED || import->failure.code != OSR_OK) {
        return read_code;
    }
    /* Where the input is at fault, what stood before that place is good all the same. */
    struct osr_err send_err;
    int code = send_batch(import, &send_err);
    if (code == OSR_OK) {
        code = await_replies(import, 0, &send_err);
    }
    if (code == OSR_OK) {
        return read_code;
    }
    *err = send_err;
    return code;
}

static void write_summary(struct import *import)
{
    struct osr_output *out = &import->context->out;
    if (import->context->json) {
        Osr__ImportResponse sums = OSR__IMPORT_RESPONSE__INIT;
        sums.imported = import->imported;
        sums.existed = import->existed;
        sums.sequence = import->sequence;
        osr_output_add_message(out, &sums.base);
        return;
    }
    uint64_t elapsed_ms = osr_progress_elapsed_ms(&import->progress);
    uint64_t count = import->imported + import->existed;
    char imported[OSR_DISPLAY_NUMBER_CHARS], existed[OSR_DISPLAY_NUMBER_CHARS];
    char duration[OSR_DURATION_CHARS], rate[OSR_DISPLAY_NUMBER_CHARS];
    osr_output_add_format(out, "%s imported, %s already there, in %s (%s/s)\n",
                          osr_display_number(imported, import->imported),
                          osr_display_number(existed, import->existed),
                          osr_duration_write(duration, elapsed_ms),
                          osr_display_number(rate, count * 1000 / (elapsed_ms + 1)));
}

static void advise(struct osr_err *err)
{
    char before[OSR_ERR_HINT_MAX];
    memcpy(before, err->hint, sizeof(before));
    osr_err_hint(err, "%s%srepeat the command: what is stored already is passed over", before,
                 before[0] != '\0' ? "; then " : "to go on, ");
}

static int connect_patiently(struct osr_context *context, struct osr_err *err)
{
    uint32_t retry_ms = context->timeout_ms < RETRY_MS_MAX ? context->timeout_ms : RETRY_MS_MAX;
    osiris_set_retries(context->client, UINT32_MAX, retry_ms);
    int code = osr_context_connect(context, err);
    osiris_set_timeout(context->client, osr_context_write_timeout_ms(context));
    return code;
}

/* What a file of YAML says cannot be told from text: its name tells. */
static enum osr_entry_form form_of(size_t format, const char *path)
{
    const char *dot = strrchr(path, '.');
    bool is_yaml = dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
    return format == OSR_ENTRY_DETECT && is_yaml ? OSR_ENTRY_DOCUMENTS
                                                 : (enum osr_entry_form)format;
}

static int prepare(struct import *import, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    static const char *const formats[] = {"detect", "array", "jsonl", "text", "yaml", NULL};
    _Static_assert(OSR_ENTRY_ARRAY == 1 && OSR_ENTRY_VALUES == 2 && OSR_ENTRY_LINES == 3 &&
                       OSR_ENTRY_DOCUMENTS == 4,
                   "an index in formats is an osr_entry_form");
    size_t format;
    uint64_t acks;
    int code = osr_arguments_choice(arguments, OSR_FLAG_FORMAT, formats, &format, err);
    if (code == OSR_OK) {
        code = osr_arguments_number(arguments, OSR_FLAG_ACKS, 0, OSR_ACKS_MAX, &acks, err);
    }
    if (code == OSR_OK) {
        code = osr_document_set_flags(&import->pattern, arguments, err);
    }
    if (code == OSR_OK) {
        code = open_input(import, arguments->operands[0], err);
    }
    if (code == OSR_OK) {
        code = name_source(import, arguments, err);
    }
    if (code == OSR_OK) {
        code = connect_patiently(import->context, err);
    }
    if (code != OSR_OK) {
        return code;
    }
    import->acks = (uint32_t)acks;
    osr_entry_reader_init(&import->reader, form_of(format, arguments->operands[0]));
    return OSR_OK;
}

static void destroy(struct import *import)
{
    cancel_all(import);
    osr_entry_reader_done(&import->reader);
    osr_occurrences_done(&import->occurrences);
    osr_buffer_done(&import->batch.data);
    if (import->fd > STDERR_FILENO) {
        close(import->fd);
    }
    free(import->source_name);
    free(import->messages);
    free(import);
}

int osr_run_kb_import(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    struct import *import = osr_alloc(sizeof(*import));
    import->context = context;
    import->fd = -1;
    import->pattern = (Osr__Document)OSR__DOCUMENT__INIT;
    import->messages = osr_alloc(sizeof(*import->messages));
    int code = prepare(import, arguments, err);
    if (code != OSR_OK) {
        goto done;
    }

    osr_progress_begin(&import->progress, "entries");
    code = run_import(import, err);
    if (code != OSR_OK) {
        osiris_run(context->client, 0, LAST_REPLIES_MS, NULL);
        advise(err);
    }
    osr_progress_end(&import->progress);
    write_summary(import);
done:
    destroy(import);
    return code;
}

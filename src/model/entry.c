#include "model/entry.h"

#include <assert.h>
#include <stdlib.h>

#include "model/form.h"
#include "model/limits.h"

static void encode_data(struct osr_buffer *buffer, const Osr__Json *data)
{
    osr_buffer_add_u8(buffer, data != NULL);
    osr_form_add_slice(buffer, data != NULL ? osr_slice(data->text.data, data->text.len)
                                            : osr_slice(NULL, 0));
}

static void encode_versions(struct osr_buffer *buffer, Osr__Version *const *versions, size_t count)
{
    osr_buffer_add_u32(buffer, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        osr_buffer_add_u64(buffer, versions[i]->time_ms);
        osr_buffer_add_u32(buffer, versions[i]->time_logical);
        osr_form_add_text(buffer, versions[i]->origin);
    }
}

static void encode_source(struct osr_buffer *buffer, const Osr__Source *source)
{
    osr_buffer_add_u8(buffer, source != NULL);
    if (source != NULL) {
        assert(source->digest.len == OSR_SHA256_SIZE);
        osr_form_add_text(buffer, source->name);
        osr_buffer_add_u64(buffer, source->position);
        osr_buffer_add(buffer, source->digest.data, source->digest.len);
        osr_buffer_add_u64(buffer, source->occurrence);
    }
}

void osr_entry_encode(struct osr_buffer *buffer, struct osr_time time, Osr__Operation operation,
                      const Osr__Document *document)
{
    osr_buffer_add_u64(buffer, time.ms);
    osr_buffer_add_u32(buffer, time.logical);
    osr_buffer_add_u8(buffer, (uint8_t)operation);
    osr_form_add_text(buffer, document->id);
    osr_form_add_text(buffer, document->collection);
    osr_form_add_text(buffer, document->kind);
    encode_data(buffer, document->data);
    osr_buffer_add_u32(buffer, (uint32_t)document->n_tags);
    for (size_t i = 0; i < document->n_tags; i++) {
        osr_form_add_text(buffer, document->tags[i]);
    }
    osr_form_add_text(buffer, document->author);
    osr_buffer_add_u64(buffer, document->time_ms);
    encode_versions(buffer, document->supersedes, document->n_supersedes);
    osr_buffer_add_u64(buffer, document->expires_ms);
    encode_source(buffer, document->source);
}

/* Reads a stored form from its front, into an arena. */
struct reader {
    struct osr_form_reader form;
    struct osr_arena *arena;
    bool is_too_large; /* for the arena */
};

static void *take(struct reader *reader, size_t size)
{
    if (reader->form.is_damaged || reader->is_too_large) {
        return NULL;
    }
    void *memory = osr_arena_take(reader->arena, size);
    reader->is_too_large = memory == NULL;
    return memory;
}

static char *read_text(struct reader *reader)
{
    char *empty = (char *)protobuf_c_empty_string; /* as protobuf-c's own messages */
    struct osr_slice text = osr_form_read_slice(&reader->form);
    if (text.size == 0) {
        return empty;
    }
    if (memchr(text.data, '\0', text.size) != NULL) {
        reader->form.is_damaged = true;
        return empty;
    }
    char *copy = osr_arena_text(reader->arena, text);
    if (copy == NULL) {
        reader->is_too_large = true;
        return empty;
    }
    return copy;
}

static Osr__Json *read_data(struct reader *reader)
{
    bool present = osr_form_read_flag(&reader->form);
    struct osr_slice text = osr_form_read_slice(&reader->form);
    if (!present) {
        if (text.size > 0) {
            reader->form.is_damaged = true;
        }
        return NULL;
    }
    Osr__Json *data = take(reader, sizeof(*data));
    if (data != NULL) {
        osr__json__init(data);
        /* protobuf-c knows no constant bytes; nobody writes to a decoded message. */
        data->text = (ProtobufCBinaryData){text.size, (uint8_t *)text.data};
    }
    return data;
}

static void read_tags(struct reader *reader, Osr__Document *document)
{
    uint32_t count = osr_form_read_count(&reader->form, OSR_TAGS_MAX);
    if (count == 0) {
        return;
    }
    document->tags = take(reader, count * sizeof(char *));
    for (; document->tags != NULL && document->n_tags < count; document->n_tags++) {
        document->tags[document->n_tags] = read_text(reader);
    }
}

static void read_version(struct reader *reader, Osr__Version *version)
{
    osr__version__init(version);
    version->time_ms = osr_form_read_u64(&reader->form);
    version->time_logical = osr_form_read_u32(&reader->form);
    version->origin = read_text(reader);
}

static void read_supersedes(struct reader *reader, Osr__Document *document)
{
    uint32_t count = osr_form_read_count(&reader->form, OSR_SUPERSEDES_MAX);
    if (count == 0) {
        return;
    }
    document->supersedes = take(reader, count * sizeof(Osr__Version *));
    Osr__Version *versions = take(reader, count * sizeof(*versions));
    for (; versions != NULL && document->n_supersedes < count; document->n_supersedes++) {
        read_version(reader, &versions[document->n_supersedes]);
        document->supersedes[document->n_supersedes] = &versions[document->n_supersedes];
    }
}

static Osr__Source *read_source(struct reader *reader)
{
    Osr__Source *source = osr_form_read_flag(&reader->form) ? take(reader, sizeof(*source)) : NULL;
    if (source == NULL) {
        return NULL;
    }
    osr__source__init(source);
    source->name = read_text(reader);
    source->position = osr_form_read_u64(&reader->form);
    const uint8_t *digest = osr_form_read_bytes(&reader->form, OSR_SHA256_SIZE);
    source->digest = (ProtobufCBinaryData){OSR_SHA256_SIZE, (uint8_t *)digest};
    source->occurrence = osr_form_read_u64(&reader->form);
    return source;
}

static Osr__Document *read_document(struct reader *reader)
{
    Osr__Document *document = take(reader, sizeof(*document));
    if (document == NULL) {
        return NULL;
    }
    osr__document__init(document);
    document->id = read_text(reader);
    document->collection = read_text(reader);
    document->kind = read_text(reader);
    document->data = read_data(reader);
    read_tags(reader, document);
    document->author = read_text(reader);
    document->time_ms = osr_form_read_u64(&reader->form);
    read_supersedes(reader, document);
    document->expires_ms = osr_form_read_u64(&reader->form);
    document->source = read_source(reader);
    return document;
}

static bool operation_is_known(Osr__Operation operation)
{
    return operation == OSR__OPERATION__PUT || operation == OSR__OPERATION__DELETE;
}

int osr_entry_decode(struct osr_slice stored, uint64_t sequence, struct osr_arena *arena,
                     Osr__Entry **ret_entry, struct osr_err *err)
{
    struct reader reader = {.form = {.left = stored}, .arena = arena};
    Osr__Entry *entry = take(&reader, sizeof(*entry));
    if (entry != NULL) {
        osr__entry__init(entry);
        entry->format = OSR_ENTRY_FORMAT;
        entry->sequence = sequence;
        entry->time_ms = osr_form_read_u64(&reader.form);
        entry->time_logical = osr_form_read_u32(&reader.form);
        entry->operation = (Osr__Operation)osr_form_read_u8(&reader.form);
        entry->document = read_document(&reader);
        if (!operation_is_known(entry->operation) || reader.form.left.size > 0) {
            reader.form.is_damaged = true;
        }
    }
    if (reader.is_too_large) {
        return osr_err_set(err, OSR_TOO_LARGE, "entry: more than the decoder's memory");
    }
    if (reader.form.is_damaged) {
        return osr_err_set(err, OSR_CORRUPT, "entry: not in the stored form");
    }
    *ret_entry = entry;
    return 0;
}

int osr_entry_check(const Osr__Entry *entry, struct osr_err *err)
{
    if (entry->format != OSR_ENTRY_FORMAT) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION, "entry format %u, this build knows %d",
                           entry->format, OSR_ENTRY_FORMAT);
    }
    if (!operation_is_known(entry->operation)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "operation: neither PUT nor DELETE");
    }
    if (entry->time_ms > OSR_TIME_MS_MAX) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "time: out of range");
    }
    if (entry->document == NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "document: missing");
    }
    if (entry->document->version != NULL) {
        /* It would escape the hash. */
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "version: present in an entry");
    }
    return osr_document_check(entry->document, entry->operation, true, err);
}

struct osr_hash osr_entry_hash(const struct osr_feed_id *feed, uint64_t sequence,
                               struct osr_slice stored)
{
    assert(stored.size >= OSR_STORED_HEAD_SIZE);
    const struct osr_slice document_pieces[] = {
        OSR_FORM_TAG("osiris document 1"),
        osr_slice(stored.data + OSR_STORED_HEAD_SIZE, stored.size - OSR_STORED_HEAD_SIZE),
    };
    struct osr_hash document = osr_sha256(document_pieces, 2);

    uint8_t place[4 + 4 + sizeof(feed->origin) + 4 + sizeof(feed->stream) + 8 + 8];
    uint8_t *end = osr_form_u32(place, OSR_ENTRY_FORMAT);
    end = osr_form_text(end, feed->origin);
    end = osr_form_text(end, feed->stream);
    end = osr_form_u64(end, feed->epoch);
    end = osr_form_u64(end, sequence);
    const struct osr_slice pieces[] = {
        OSR_FORM_TAG("osiris entry 1"),
        osr_slice(place, (size_t)(end - place)),
        osr_slice(stored.data, OSR_STORED_HEAD_SIZE),
        osr_slice(document.bytes, sizeof(document.bytes)),
    };
    return osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

struct osr_hash osr_chain_next(const struct osr_hash *previous, const struct osr_hash *entry_hash)
{
    const struct osr_slice pieces[] = {
        OSR_FORM_TAG("osiris chain 1"),
        osr_slice(previous->bytes, sizeof(previous->bytes)),
        osr_slice(entry_hash->bytes, sizeof(entry_hash->bytes)),
    };
    return osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

void osr_head_message(struct osr_buffer *buffer, const char *cluster,
                      const struct osr_feed_id *feed, uint64_t sequence,
                      const struct osr_hash *chain)
{
    struct osr_slice tag = OSR_FORM_TAG("osiris head 1");
    osr_buffer_add(buffer, tag.data, tag.size);
    osr_form_add_text(buffer, cluster);
    osr_form_add_text(buffer, feed->origin);
    osr_form_add_text(buffer, feed->stream);
    osr_buffer_add_u64(buffer, feed->epoch);
    osr_buffer_add_u64(buffer, sequence);
    osr_buffer_add(buffer, chain->bytes, sizeof(chain->bytes));
}

void osr_batch_done(struct osr_batch *batch)
{
    osr_buffer_done(&batch->bytes);
    free(batch->ends);
    *batch = (struct osr_batch){0};
}

void osr_batch_clear(struct osr_batch *batch)
{
    batch->count = 0;
    batch->bytes.size = 0;
}

void osr_batch_close_entry(struct osr_batch *batch)
{
    assert(batch->bytes.size >= (batch->count > 0 ? batch->ends[batch->count - 1] : 0) +
                                    OSR_SHA256_SIZE + OSR_STORED_HEAD_SIZE);
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity > 0 ? 2 * batch->capacity : 16;
        batch->ends = osr_realloc(batch->ends, batch->capacity * sizeof(batch->ends[0]));
    }
    batch->ends[batch->count++] = batch->bytes.size;
}

struct osr_slice osr_batch_record(const struct osr_batch *batch, size_t i)
{
    assert(i < batch->count);
    size_t begin = i > 0 ? batch->ends[i - 1] : 0;
    return osr_slice(batch->bytes.data + begin, batch->ends[i] - begin);
}

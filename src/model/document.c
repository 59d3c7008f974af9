#include "model/document.h"

#include "base/json_scan.h"
#include "base/text.h"
#include "model/form.h"
#include "model/identity.h"
#include "model/limits.h"

static int check_text(const char *name, const char *text, size_t size_max, struct osr_err *err)
{
    struct osr_slice slice = osr_slice_text(text);
    if (slice.size > size_max) {
        return osr_err_set(err, OSR_TOO_LARGE, "%s: %zu bytes, at most %zu", name, slice.size,
                           size_max);
    }
    if (!osr_utf8_is_valid(slice)) {
        return osr_err_set(err, OSR_MALFORMED, "%s: not UTF-8", name);
    }
    if (!osr_text_is_plain(slice)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%s: has a control character", name);
    }
    return 0;
}

static int check_id(const char *id, bool needs_id, struct osr_err *err)
{
    if (needs_id && id[0] == '\0') {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "id: is empty");
    }
    return check_text("id", id, OSR_ID_BYTES_MAX, err);
}

static int check_tags(const Osr__Document *document, struct osr_err *err)
{
    if (document->n_tags > OSR_TAGS_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "tags: %zu, at most %d", document->n_tags,
                           OSR_TAGS_MAX);
    }
    int code = 0;
    for (size_t i = 0; code == 0 && i < document->n_tags; i++) {
        code = check_text("tag", document->tags[i], OSR_TAG_BYTES_MAX, err);
    }
    return code;
}

static int check_supersedes(const Osr__Document *document, struct osr_err *err)
{
    if (document->n_supersedes > OSR_SUPERSEDES_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "supersedes: %zu versions, at most %d",
                           document->n_supersedes, OSR_SUPERSEDES_MAX);
    }
    for (size_t i = 0; i < document->n_supersedes; i++) {
        if (!osr_instance_id_is_valid(document->supersedes[i]->origin)) {
            return osr_err_set(err, OSR_INVALID_ARGUMENT,
                               "supersedes: origin is not an instance id");
        }
        if (document->supersedes[i]->time_ms > OSR_TIME_MS_MAX) {
            return osr_err_set(err, OSR_INVALID_ARGUMENT, "supersedes: time is out of range");
        }
    }
    return 0;
}

static int check_source(const Osr__Source *source, struct osr_err *err)
{
    if (source == NULL) {
        return 0;
    }
    if (source->digest.len != OSR_SHA256_SIZE) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "source digest: %zu bytes, must be %d",
                           source->digest.len, OSR_SHA256_SIZE);
    }
    if (source->occurrence == 0) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "source occurrence: is 0, and counts from 1");
    }
    return check_text("source name", source->name, OSR_SOURCE_NAME_BYTES_MAX, err);
}

static int check_data(const Osr__Json *data, Osr__Operation operation, struct osr_err *err)
{
    if (operation == OSR__OPERATION__DELETE && data == NULL) {
        return 0;
    }
    if (operation == OSR__OPERATION__DELETE) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "data: present in a delete");
    }
    if (data == NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "data: missing");
    }
    if (data->text.len > OSR_DATA_BYTES_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "data: %zu bytes, at most %d", data->text.len,
                           OSR_DATA_BYTES_MAX);
    }
    struct osr_slice text = osr_slice(data->text.data, data->text.len);
    int code = osr_json_check(text, OSR_DATA_DEPTH_MAX, err);
    if (code != 0) {
        osr_err_prefix(err, "data");
    }
    return code;
}

int osr_document_check(const Osr__Document *document, Osr__Operation operation, bool needs_id,
                       struct osr_err *err)
{
    int code = check_id(document->id, needs_id, err);
    if (code == 0) {
        code = check_text("collection", document->collection, OSR_COLLECTION_BYTES_MAX, err);
    }
    if (code == 0) {
        code = check_text("kind", document->kind, OSR_KIND_BYTES_MAX, err);
    }
    if (code == 0) {
        code = check_text("author", document->author, OSR_AUTHOR_BYTES_MAX, err);
    }
    if (code == 0) {
        code = check_tags(document, err);
    }
    if (code == 0) {
        code = check_supersedes(document, err);
    }
    if (code == 0) {
        code = check_source(document->source, err);
    }
    if (code == 0) {
        code = check_data(document->data, operation, err);
    }
    return code;
}

/* The five bits that character `at` shows of a 128-bit number with two zero bits in front. */
static unsigned five_bits(const uint8_t *number, int at)
{
    unsigned value = 0;
    for (int bit = at * 5 - 2; bit < at * 5 + 3; bit++) {
        unsigned set = bit < 0 ? 0 : (unsigned)number[bit / 8] >> (7 - bit % 8) & 1u;
        value = value << 1 | set;
    }
    return value;
}

void osr_document_id_make(char *id, uint64_t time_ms, const uint8_t *random)
{
    uint8_t number[16];
    osr_put_u64(number, time_ms << 16); /* 48 bits; the random part follows */
    memcpy(number + 6, random, 10);
    for (int i = 0; i < OSR_MADE_ID_CHARS; i++) {
        id[i] = "0123456789abcdefghjkmnpqrstvwxyz"[five_bits(number, i)];
    }
    id[OSR_MADE_ID_CHARS] = '\0';
}

void osr_document_id_from_source(char *id, const char *instance, const Osr__Source *source)
{
    enum { HASH_SIZE = 20 };
    _Static_assert(1 + HASH_SIZE * 8 / 5 == OSR_SOURCE_ID_CHARS, "'s' and the hash in base32");
    uint8_t sizes[2][4];
    uint8_t occurrence[8];
    osr_put_u32(sizes[0], (uint32_t)strlen(instance));
    osr_put_u32(sizes[1], (uint32_t)strlen(source->name));
    osr_put_u64(occurrence, source->occurrence);
    const struct osr_slice pieces[] = {
        OSR_FORM_TAG("osiris source 1"),
        osr_slice(sizes[0], sizeof(sizes[0])),
        osr_slice_text(instance),
        osr_slice(sizes[1], sizeof(sizes[1])),
        osr_slice_text(source->name),
        osr_slice(source->digest.data, source->digest.len),
        osr_slice(occurrence, sizeof(occurrence)),
    };
    struct osr_hash hash = osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
    id[0] = 's';
    osr_base32_encode(id + 1, osr_slice(hash.bytes, HASH_SIZE));
}

/* proto/protocol.md, read and checked: its frames, hashes and signatures are what this program
 * makes, and its tables say what the program does. */
#include "adapter/keys.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "model/digest.h"
#include "model/entry.h"
#include "model/limits.h"
#include "model/speakable.h"
#include "model/token.h"
#include "wire/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FRAMES = 10 };

static const char *const frame_types[FRAMES] = {"HELLO",  "HELLO_PROOF", "UPDATE", "ACK",
                                                "FETCH",  "PING",        "ERROR",  "UPDATE_KB",
                                                "KB_PUT", "KB_PUT_REPLY"};

struct page {
    char *text; /* the whole of protocol.md */
    struct osr_arena *arena;
    struct osr_slice json[FRAMES];
    struct osr_slice yaml[FRAMES]; /* with the last newline */
    struct osr_buffer protobuf[FRAMES];
    Osr__Frame *frames[FRAMES]; /* decoded from the JSON */
};

/* ---- reading the page ---- */

static char *read_page(void)
{
    FILE *file = fopen(OSR_SOURCE_FOLDER "/proto/protocol.md", "r");
    assert_non_null(file);
    struct osr_buffer text = {0};
    size_t got;
    do {
        got = fread(osr_buffer_reserve(&text, 4096), 1, 4096, file);
        text.size += got;
    } while (got > 0);
    fclose(file);
    osr_buffer_add_u8(&text, '\0');
    return (char *)text.data;
}

/* What stands in the next fenced block of that kind; *at moves behind it. */
static struct osr_slice next_block(const char **at, const char *kind)
{
    char fence[16];
    snprintf(fence, sizeof(fence), "```%s\n", kind);
    const char *begin = strstr(*at, fence);
    assert_non_null(begin);
    begin += strlen(fence);
    const char *end = strstr(begin, "\n```");
    assert_non_null(end);
    *at = end;
    return osr_slice(begin, (size_t)(end - begin));
}

/* Hex digits, of which white space may stand anywhere, to bytes. */
static void decode_hex(struct osr_buffer *bytes, struct osr_slice hex)
{
    char pair[3] = "";
    for (size_t i = 0; i < hex.size; i++) {
        char digit = (char)hex.data[i];
        if (digit == '\n') {
            continue;
        }
        pair[strlen(pair)] = digit;
        if (pair[1] != '\0') {
            osr_buffer_add_u8(bytes, (uint8_t)strtoul(pair, NULL, 16));
            memset(pair, 0, sizeof(pair));
        }
    }
    assert_int_equal(pair[0], '\0');
}

static Osr__Frame *decode_frame(struct page *page, enum osr_codec codec, struct osr_slice bytes)
{
    Osr__Frame *frame = NULL;
    uint64_t request_id;
    struct osr_err err;
    if (osr_frame_decode(codec, bytes, page->arena, &frame, &request_id, &err) != 0) {
        fail_msg("%.*s: %s", (int)bytes.size, (const char *)bytes.data, err.message);
    }
    return frame;
}

static int open_page(void **state)
{
    struct page *page = osr_alloc(sizeof(*page));
    page->text = read_page();
    page->arena = osr_arena_create(0, 1 << 20);
    const char *at = strstr(page->text, "## Example frames");
    assert_non_null(at);
    for (size_t i = 0; i < FRAMES; i++) {
        page->json[i] = next_block(&at, "json");
        page->yaml[i] = next_block(&at, "yaml");
        page->yaml[i].size++;
        decode_hex(&page->protobuf[i], next_block(&at, "hex"));
        page->frames[i] = decode_frame(page, OSR_CODEC_JSON, page->json[i]);
        assert_string_equal(osr_frame_type(page->frames[i]), frame_types[i]);
    }
    assert_null(strstr(at, "```json"));
    *state = page;
    return 0;
}

static int close_page(void **state)
{
    struct page *page = *state;
    for (size_t i = 0; i < FRAMES; i++) {
        osr_buffer_done(&page->protobuf[i]);
    }
    osr_arena_destroy(page->arena);
    free(page->text);
    free(page);
    return 0;
}

/* The page has this as a line of its own. */
static void assert_says(const struct page *page, const char *line)
{
    char *whole = osr_format("\n%s\n", line);
    if (strstr(page->text, whole) == NULL) {
        fail_msg("protocol.md does not say: %s", line);
    }
    free(whole);
}

static void assert_says_bytes(const struct page *page, const char *name, struct osr_slice bytes)
{
    char *hex = osr_alloc(2 * bytes.size + 1);
    osr_hex_encode(hex, bytes);
    char *line = osr_format("%s = %s", name, hex);
    assert_says(page, line);
    free(line);
    free(hex);
}

static void assert_says_hash(const struct page *page, const char *name, size_t number,
                             const struct osr_hash *hash)
{
    char label[64];
    snprintf(label, sizeof(label), "%s(%zu)", name, number);
    assert_says_bytes(page, label, osr_slice(hash->bytes, sizeof(hash->bytes)));
}

/* ---- frames ---- */

static void assert_encodes(enum osr_codec codec, const Osr__Frame *frame, struct osr_slice expected)
{
    struct osr_buffer bytes = {0};
    osr_frame_encode(codec, frame, &bytes);
    if (!osr_slice_equal(osr_buffer_slice(&bytes), expected)) {
        fail_msg("%s is encoded otherwise: %.*s", osr_frame_type(frame), (int)bytes.size,
                 (const char *)bytes.data);
    }
    osr_buffer_done(&bytes);
}

static void assert_encodes_as_page(const struct page *page, size_t i, const Osr__Frame *frame)
{
    assert_encodes(OSR_CODEC_JSON, frame, page->json[i]);
    assert_encodes(OSR_CODEC_YAML, frame, page->yaml[i]);
    assert_encodes(OSR_CODEC_PROTOBUF, frame, osr_buffer_slice(&page->protobuf[i]));
}

/* Each example, read in any encoding, is written in all of them just as it stands on the page. */
static void vectors_frames_are_the_same_in_all_encodings(void **state)
{
    struct page *page = *state;
    for (size_t i = 0; i < FRAMES; i++) {
        struct osr_slice protobuf = osr_buffer_slice(&page->protobuf[i]);
        assert_encodes_as_page(page, i, page->frames[i]);
        assert_encodes_as_page(page, i, decode_frame(page, OSR_CODEC_YAML, page->yaml[i]));
        assert_encodes_as_page(page, i, decode_frame(page, OSR_CODEC_PROTOBUF, protobuf));
    }
}

/* ---- identities ---- */

static struct osr_public_key key_of(ProtobufCBinaryData bytes)
{
    struct osr_public_key key;
    assert_int_equal(bytes.len, sizeof(key.bytes));
    memcpy(key.bytes, bytes.data, sizeof(key.bytes));
    return key;
}

static void assert_signed(const struct osr_public_key *key, struct osr_slice message,
                          ProtobufCBinaryData bytes)
{
    struct osr_signature signature;
    assert_int_equal(bytes.len, sizeof(signature.bytes));
    memcpy(signature.bytes, bytes.data, sizeof(signature.bytes));
    assert_true(osr_keys_verify(key, message, &signature));
}

static const Osr__Hello *hello_of(const struct page *page)
{
    return page->frames[0]->hello;
}

/* Instance b: the second key of RFC 8032, section 7.1. */
static void make_instance_b(char *id)
{
    struct osr_buffer bytes = {0};
    decode_hex(&bytes, osr_slice_text("3d4017c3e843895a92b70aa74d1b7ebc"
                                      "9c982ccf2ec4968cc0cd55f12af4660c"));
    struct osr_public_key key = key_of((ProtobufCBinaryData){bytes.size, bytes.data});
    osr_instance_id(id, &key);
    osr_buffer_done(&bytes);
}

/* The ids come from the keys, and the proof is signed with the key that the id is made from. */
static void vectors_proof_is_signed_by_its_instance(void **state)
{
    struct page *page = *state;
    const Osr__HelloProof *proof = page->frames[1]->hello_proof;
    struct osr_public_key key = key_of(proof->public_key);
    char a[OSR_INSTANCE_CHARS + 1], b[OSR_INSTANCE_CHARS + 1], line[64];
    osr_instance_id(a, &key);
    make_instance_b(b);
    assert_string_equal(a, hello_of(page)->instance);
    snprintf(line, sizeof(line), "instance a = %s", a);
    assert_says(page, line);
    snprintf(line, sizeof(line), "instance b = %s", b);
    assert_says(page, line);

    uint8_t nonce_of_b[OSR_NONCE_SIZE];
    memset(nonce_of_b, 0x33, sizeof(nonce_of_b));
    struct osr_buffer message = {0};
    osr_proof_message(&message, a, hello_of(page)->nonce.data, b, nonce_of_b, osr_slice(NULL, 0));
    assert_says_bytes(page, "proof(a)", osr_buffer_slice(&message));
    assert_says_bytes(page, "signature of proof(a)",
                      osr_slice(proof->signature.data, proof->signature.len));
    assert_signed(&key, osr_buffer_slice(&message), proof->signature);
    osr_buffer_done(&message);
}

/* ---- entries ---- */

static const Osr__Update *update_of(const struct page *page)
{
    return page->frames[2]->update;
}

static struct osr_feed_id feed_of(const Osr__Update *update)
{
    struct osr_feed_id feed;
    assert_int_equal(osr_feed_id_make(&feed, update->origin, update->stream, update->epoch, NULL),
                     0);
    return feed;
}

static struct osr_hash document_hash(struct osr_slice stored)
{
    static const char tag[] = "osiris document 1"; /* its NUL belongs to it */
    const struct osr_slice pieces[] = {
        osr_slice(tag, sizeof(tag)),
        osr_slice(stored.data + OSR_STORED_HEAD_SIZE, stored.size - OSR_STORED_HEAD_SIZE)};
    return osr_sha256(pieces, COUNT(pieces));
}

/* Stored form, hashes, chain and signed head of the entries in the example UPDATE. */
static void vectors_entries_hash_and_chain(void **state)
{
    struct page *page = *state;
    const Osr__Update *update = update_of(page);
    struct osr_feed_id feed = feed_of(update);
    struct osr_hash chain = {{0}};
    struct osr_buffer bytes = {0};
    for (size_t i = 0; i < update->n_entries; i++) {
        const Osr__Entry *entry = update->entries[i];
        assert_int_equal(osr_entry_check(entry, NULL), 0);
        bytes.size = 0;
        osr_entry_encode(&bytes, (struct osr_time){entry->time_ms, entry->time_logical},
                         entry->operation, entry->document);
        struct osr_slice stored = osr_buffer_slice(&bytes);
        char label[32];
        snprintf(label, sizeof(label), "stored(%zu)", i + 1);
        assert_says_bytes(page, label, stored);
        struct osr_hash hash = document_hash(stored);
        assert_says_hash(page, "document_hash", i + 1, &hash);
        hash = osr_entry_hash(&feed, entry->sequence, stored);
        assert_says_hash(page, "entry_hash", i + 1, &hash);
        chain = osr_chain_next(&chain, &hash);
        assert_says_hash(page, "chain", i + 1, &chain);
    }
    assert_memory_equal(update->chain.data, chain.bytes, sizeof(chain.bytes));
    assert_memory_equal(hello_of(page)->held[0]->chain.data, chain.bytes, sizeof(chain.bytes));

    struct osr_public_key key = key_of(update->public_key);
    bytes.size = 0;
    osr_head_message(&bytes, hello_of(page)->cluster, &feed, update->n_entries, &chain);
    assert_says_bytes(page, "head(2)", osr_buffer_slice(&bytes));
    assert_says_bytes(page, "signature(2)",
                      osr_slice(update->signature.data, update->signature.len));
    assert_signed(&key, osr_buffer_slice(&bytes), update->signature);
    osr_buffer_done(&bytes);
}

/* Ids that Osiris makes, from the time and from a source. */
static void vectors_document_ids(void **state)
{
    struct page *page = *state;
    uint8_t random[10];
    for (size_t i = 0; i < sizeof(random); i++) {
        random[i] = (uint8_t)i;
    }
    char id[OSR_SOURCE_ID_CHARS + 1], line[80];
    osr_document_id_make(id, 1700000000000, random);
    snprintf(line, sizeof(line), "made id = %s", id);
    assert_says(page, line);

    const Osr__Document *document = update_of(page)->entries[0]->document;
    struct osr_slice data = osr_slice(document->data->text.data, document->data->text.len);
    struct osr_hash digest = osr_sha256(&data, 1);
    assert_memory_equal(document->source->digest.data, digest.bytes, sizeof(digest.bytes));
    osr_document_id_from_source(id, hello_of(page)->instance, document->source);
    assert_string_equal(id, document->id);
    snprintf(line, sizeof(line), "id from source = %s", id);
    assert_says(page, line);
}

/* The digest of an instance that holds just the example's feed, and of an empty one. */
static void vectors_digest(void **state)
{
    struct page *page = *state;
    const Osr__Update *update = update_of(page);
    struct osr_digest_feed feed = {.feed = feed_of(update), .sequence = update->n_entries};
    memcpy(feed.chain.bytes, update->chain.data, sizeof(feed.chain.bytes));
    const Osr__Entry *last = update->entries[1];
    struct osr_version winner = {.time = {last->time_ms, last->time_logical}};
    memcpy(winner.origin, feed.feed.origin, sizeof(winner.origin));
    struct osr_digest *digest = osr_digest_create(&feed, 1);
    osr_digest_add(digest, osr_slice_text(last->document->id), &winner, last->operation);
    struct osr_hash hash = osr_digest_finish(digest);
    assert_says_bytes(page, "digest", osr_slice(hash.bytes, sizeof(hash.bytes)));
    osr_digest_destroy(digest);

    digest = osr_digest_create(NULL, 0);
    hash = osr_digest_finish(digest);
    assert_says_bytes(page, "digest of nothing", osr_slice(hash.bytes, sizeof(hash.bytes)));
    osr_digest_destroy(digest);
}

/* Ids as people compare them. */
static void vectors_ids_for_people(void **state)
{
    struct page *page = *state;
    char b[OSR_INSTANCE_CHARS + 1], spoken[OSR_SPEAKABLE_CHARS + 1], line[64];
    make_instance_b(b);
    osr_speakable_write(spoken, hello_of(page)->instance);
    snprintf(line, sizeof(line), "instance a, for people = %s", spoken);
    assert_says(page, line);
    osr_speakable_write(spoken, b);
    snprintf(line, sizeof(line), "instance b, for people = %s", spoken);
    assert_says(page, line);
}

/* A token, what its issuer keeps of it, and the invitation with the same secret. */
static void vectors_token_and_invitation(void **state)
{
    struct page *page = *state;
    struct osr_invitation invitation = {
        .token = {.cluster = osr_cluster_tag(hello_of(page)->cluster)},
        .addresses = {"tls://10.0.0.7:12346", "tls://kitchen.local:12346"},
        .address_count = 2,
    };
    memset(invitation.ca_fingerprint.bytes, 0xca, sizeof(invitation.ca_fingerprint.bytes));
    for (size_t i = 0; i < OSR_SECRET_ID_SIZE; i++) {
        invitation.token.id[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < OSR_SECRET_SIZE; i++) {
        invitation.token.secret[i] = (uint8_t)(0x80 + i);
    }
    char text[OSR_TOKEN_TEXT_MAX], line[OSR_TOKEN_TEXT_MAX + 16];
    osr_token_write(text, &invitation.token);
    snprintf(line, sizeof(line), "token = %s", text);
    assert_says(page, line);
    struct osr_hash hash = osr_token_hash(&invitation.token);
    assert_says_bytes(page, "hash of the token", osr_slice(hash.bytes, sizeof(hash.bytes)));

    struct osr_buffer written = {0};
    osr_buffer_add_text(&written, "invitation = ");
    osr_invitation_write(&written, &invitation);
    osr_buffer_add_u8(&written, '\0');
    assert_says(page, (const char *)written.data);
    osr_buffer_done(&written);
}

/* ---- tables ---- */

/* Every code is in the table, with what programs rely on. */
static void vectors_error_table_is_complete(void **state)
{
    struct page *page = *state;
    static const char *const classes[] = {"", "retry", "caller", "fatal"};
    for (int code = 0; code < OSR_CODE_COUNT; code++) {
        const struct osr_code_info *info = osr_code_info((enum osr_code)code);
        char *row = osr_format("| %d | %s | %s | %d | %d | %d | %s |", code, info->name,
                               classes[info->class], info->grpc_status, info->http_status,
                               info->exit_status, info->text);
        assert_says(page, row);
        free(row);
    }
}

/* The limits on the page are those of the program. */
static void vectors_limits_are_those_of_the_program(void **state)
{
    struct page *page = *state;
    static const struct {
        const char *what;
        unsigned long limit;
        const char *rest;
    } limits[] = {
        {"a frame", OSR_FRAME_BYTES_MAX, " bytes"},
        {"memory that one frame unfolds into", OSR_DECODE_BYTES_MAX, " bytes"},
        {"nesting of messages", OSR_DECODE_DEPTH_MAX, ""},
        {"nesting of JSON, frame and data together", OSR_JSON_DEPTH_MAX, ""},
        {"nesting of `data`", OSR_DATA_DEPTH_MAX, ""},
        {"`data`", OSR_DATA_BYTES_MAX, " bytes"},
        {"id of a document", OSR_ID_BYTES_MAX, " bytes"},
        {"collection", OSR_COLLECTION_BYTES_MAX, " bytes"},
        {"kind", OSR_KIND_BYTES_MAX, " bytes"},
        {"tags", OSR_TAGS_MAX, ""},
        {"a tag", OSR_TAG_BYTES_MAX, " bytes"},
        {"author", OSR_AUTHOR_BYTES_MAX, " bytes"},
        {"versions in `supersedes`", OSR_SUPERSEDES_MAX, ""},
        {"name of a source", OSR_SOURCE_NAME_BYTES_MAX, " bytes"},
        {"name of an instance", OSR_NAME_BYTES_MAX, " bytes"},
        {"name of a cluster", OSR_CLUSTER_BYTES_MAX, " bytes"},
        {"search query", OSR_QUERY_BYTES_MAX, " bytes"},
        {"entries in an UPDATE", OSR_BATCH_ENTRIES_MAX, ""},
        {"documents in a KB_IMPORT", OSR_IMPORT_DOCUMENTS_MAX, ""},
        {"hits of a search", OSR_SEARCH_HITS_MAX, ""},
        {"versions in a history", OSR_HISTORY_MAX, ""},
        {"feeds in a HELLO", OSR_FEEDS_MAX, ""},
        {"followers that a write waits for", OSR_ACKS_MAX, ""},
        {"links of an instance", OSR_PEERS_MAX, ", then BUSY"},
        {"beside these, its links for the ledger", OSR_LEDGER_LINKS_MAX, ", then BUSY"},
        {"links of one that a certificate or a token names", OSR_LINKS_OF_ONE_MAX, ", then BUSY"},
        {"connections to an instance", OSR_CONNECTIONS_MAX, ", then BUSY"},
    };
    for (size_t i = 0; i < COUNT(limits); i++) {
        char *row = osr_format("| %s | %lu%s |", limits[i].what, limits[i].limit, limits[i].rest);
        assert_says(page, row);
        free(row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_frames_are_the_same_in_all_encodings),
        cmocka_unit_test(vectors_proof_is_signed_by_its_instance),
        cmocka_unit_test(vectors_entries_hash_and_chain),
        cmocka_unit_test(vectors_document_ids),
        cmocka_unit_test(vectors_digest),
        cmocka_unit_test(vectors_ids_for_people),
        cmocka_unit_test(vectors_token_and_invitation),
        cmocka_unit_test(vectors_error_table_is_complete),
        cmocka_unit_test(vectors_limits_are_those_of_the_program),
    };
    return cmocka_run_group_tests(tests, open_page, close_page);
}

#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/keyed_hash.h"

struct puppet puppet_make(uint8_t number, uint32_t link)
{
    struct puppet puppet = {.link = link,
                            .key = keyed_hash_key(number),
                            .boot = number,
                            .nonce = (uint8_t)(100 + link),
                            .cluster = "test",
                            .stream = "kb"};
    osr_instance_id(puppet.id, &puppet.key);
    return puppet;
}

/* ---- linking ---- */

void puppet_hello(struct rig *rig, const struct puppet *puppet, Osr__FeedHead **held,
                  size_t held_count)
{
    uint8_t nonce[OSR_NONCE_SIZE];
    uint8_t boot[OSR_BOOT_SIZE];
    memset(nonce, puppet->nonce, sizeof(nonce));
    memset(boot, puppet->boot, sizeof(boot));
    Osr__Hello hello;
    osr__hello__init(&hello);
    hello.protocol = 1;
    hello.entry_format = OSR_ENTRY_FORMAT;
    hello.cluster = (char *)(uintptr_t)puppet->cluster;
    hello.instance = (char *)(uintptr_t)puppet->id;
    hello.name = "puppet";
    hello.purpose = puppet->purpose;
    hello.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    hello.boot = (ProtobufCBinaryData){sizeof(boot), boot};
    hello.held = held;
    hello.n_held = held_count;
    Osr__Frame frame = frame_of(OSR__FRAME__BODY_HELLO);
    frame.hello = &hello;
    rig_deliver(rig, puppet->link, &frame);
}

void puppet_greet(struct rig *rig, const struct puppet *puppet, bool dialled)
{
    rig->purpose = puppet->purpose;
    rig_link_up(rig, puppet->link, dialled);
    puppet_hello(rig, puppet, NULL, 0);
}

void puppet_prove(struct rig *rig, const struct puppet *puppet)
{
    uint8_t own_nonce[OSR_NONCE_SIZE];
    uint8_t their_nonce[OSR_NONCE_SIZE];
    memset(own_nonce, puppet->nonce, sizeof(own_nonce));
    memset(their_nonce, (int)(200 + puppet->link), sizeof(their_nonce));
    struct osr_buffer message = {0};
    osr_proof_message(&message, puppet->id, own_nonce, osr_feed_instance(rig->core), their_nonce,
                      puppet->binding);
    struct osr_signature signature = keyed_hash_sign(&puppet->key, osr_buffer_slice(&message));
    osr_buffer_done(&message);
    Osr__HelloProof proof;
    osr__hello_proof__init(&proof);
    struct osr_public_key key = puppet->key;
    proof.public_key = (ProtobufCBinaryData){sizeof(key.bytes), key.bytes};
    proof.signature = (ProtobufCBinaryData){sizeof(signature.bytes), signature.bytes};
    Osr__Frame frame = frame_of(OSR__FRAME__BODY_HELLO_PROOF);
    frame.hello_proof = &proof;
    rig_deliver(rig, puppet->link, &frame);
}

Osr__FeedHead feed_head(const char *origin, const char *stream, uint64_t sequence)
{
    Osr__FeedHead held;
    osr__feed_head__init(&held);
    held.origin = (char *)(uintptr_t)origin;
    held.stream = (char *)(uintptr_t)stream;
    held.epoch = 1;
    held.sequence = sequence;
    return held;
}

void puppet_join_holding(struct rig *rig, const struct puppet *puppet, Osr__FeedHead head)
{
    Osr__FeedHead *held[] = {&head};
    rig->purpose = puppet->purpose;
    rig_link_up(rig, puppet->link, true);
    puppet_hello(rig, puppet, held, 1);
    puppet_prove(rig, puppet);
}

void puppet_join(struct rig *rig, const struct puppet *puppet, uint64_t sequence)
{
    puppet_join_holding(rig, puppet, feed_head(puppet->id, puppet->stream, sequence));
}

void puppet_join_claiming(struct rig *rig, const struct puppet *puppet, uint64_t sequence)
{
    puppet_join_holding(rig, puppet,
                        feed_head(osr_feed_instance(rig->core), puppet->stream, sequence));
}

struct puppet puppet_joined(struct rig *rig, uint8_t number, uint32_t link, uint64_t sequence)
{
    struct puppet puppet = puppet_make(number, link);
    puppet_join(rig, &puppet, sequence);
    return puppet;
}

struct puppet puppet_following(struct rig *rig, uint8_t number, uint32_t link)
{
    struct puppet puppet = puppet_joined(rig, number, link, 0);
    puppet_fetch(rig, &puppet, 1);
    return puppet;
}

/* ---- talking of feeds ---- */

void puppet_ack_of(struct rig *rig, const struct puppet *puppet, const char *origin,
                   const char *stream, uint64_t sequence)
{
    Osr__Ack ack;
    osr__ack__init(&ack);
    ack.origin = (char *)(uintptr_t)origin;
    ack.stream = (char *)(uintptr_t)stream;
    ack.epoch = 1;
    ack.sequence = sequence;
    Osr__Frame frame = frame_of(OSR__FRAME__BODY_ACK);
    frame.ack = &ack;
    rig_deliver(rig, puppet->link, &frame);
}

void puppet_ack(struct rig *rig, const struct puppet *puppet, uint64_t sequence)
{
    puppet_ack_of(rig, puppet, osr_feed_instance(rig->core), puppet->stream, sequence);
}

void puppet_fetch_of(struct rig *rig, const struct puppet *puppet, const char *origin,
                     uint64_t from)
{
    Osr__Fetch fetch;
    osr__fetch__init(&fetch);
    fetch.origin = (char *)(uintptr_t)origin;
    fetch.stream = (char *)(uintptr_t)puppet->stream;
    fetch.epoch = 1;
    fetch.from_sequence = from;
    Osr__Frame frame = frame_of(OSR__FRAME__BODY_FETCH);
    frame.fetch = &fetch;
    rig_deliver(rig, puppet->link, &frame);
}

void puppet_fetch(struct rig *rig, const struct puppet *puppet, uint64_t from)
{
    puppet_fetch_of(rig, puppet, osr_feed_instance(rig->core), from);
}

/* ---- sending entries ---- */

void sent_seal(struct sent *sent, struct osr_hash chain)
{
    struct osr_buffer buffer = {0};
    for (size_t i = 0; i < sent->update.n_entries; i++) {
        const Osr__Entry *entry = &sent->entries[i];
        buffer.size = 0;
        osr_entry_encode(&buffer, (struct osr_time){entry->time_ms, entry->time_logical},
                         entry->operation, entry->document);
        struct osr_hash hash =
            osr_entry_hash(&sent->feed, entry->sequence, osr_buffer_slice(&buffer));
        chain = osr_chain_next(&chain, &hash);
    }
    sent->chain = chain;
    buffer.size = 0;
    uint64_t last = sent->update.first_sequence + sent->update.n_entries - 1;
    osr_head_message(&buffer, "test", &sent->feed, last, &chain);
    sent->signature = keyed_hash_sign(&sent->key, osr_buffer_slice(&buffer));
    osr_buffer_done(&buffer);
}

struct sent *sent_make(const struct osr_public_key *key, const char *stream, uint64_t first,
                       size_t count, size_t bytes, uint64_t time_ms, struct osr_hash chain)
{
    struct sent *sent = osr_alloc(sizeof(*sent));
    sent->key = *key;
    char origin[OSR_INSTANCE_CHARS + 1];
    osr_instance_id(origin, key);
    assert_int_equal(osr_feed_id_make(&sent->feed, origin, stream, 1, NULL), 0);
    osr__update__init(&sent->update);
    sent->update.origin = sent->feed.origin;
    sent->update.stream = sent->feed.stream;
    sent->update.epoch = 1;
    sent->update.first_sequence = first;
    sent->update.n_entries = count;
    sent->update.entries = sent->pointers;
    memset(sent->text, '1', sizeof(sent->text));
    osr__json__init(&sent->data);
    sent->data.text = (ProtobufCBinaryData){bytes, sent->text};
    for (size_t i = 0; i < count; i++) {
        osr__document__init(&sent->documents[i]);
        sent->documents[i].id = "d";
        sent->documents[i].data = &sent->data;
        osr__entry__init(&sent->entries[i]);
        sent->entries[i].format = OSR_ENTRY_FORMAT;
        sent->entries[i].sequence = first + i;
        sent->entries[i].time_ms = time_ms;
        sent->entries[i].time_logical = (uint32_t)(first + i);
        sent->entries[i].operation = OSR__OPERATION__PUT;
        sent->entries[i].document = &sent->documents[i];
        sent->pointers[i] = &sent->entries[i];
    }
    sent_seal(sent, chain);
    sent->update.chain = (ProtobufCBinaryData){sizeof(sent->chain.bytes), sent->chain.bytes};
    sent->update.signature =
        (ProtobufCBinaryData){sizeof(sent->signature.bytes), sent->signature.bytes};
    sent->update.public_key = (ProtobufCBinaryData){sizeof(sent->key.bytes), sent->key.bytes};
    return sent;
}

struct sent *puppet_next_batch(struct puppet *puppet, size_t count, size_t bytes)
{
    struct sent *sent = sent_make(&puppet->key, puppet->stream, puppet->sequence + 1, count, bytes,
                                  TIME_MS, puppet->chain);
    puppet->sequence += count;
    puppet->chain = sent->chain;
    return sent;
}

void puppet_send_batch(struct rig *rig, uint32_t link, struct sent *sent)
{
    Osr__Frame frame = frame_of(OSR__FRAME__BODY_UPDATE);
    frame.update = &sent->update;
    rig_deliver(rig, link, &frame);
}

void puppet_send_next(struct rig *rig, struct puppet *puppet, size_t count)
{
    struct sent *sent = puppet_next_batch(puppet, count, 10);
    puppet_send_batch(rig, puppet->link, sent);
    free(sent);
}

/* ---- what the log gave back ---- */

struct restored_batches restored_two(struct puppet *puppet)
{
    struct restored_batches batches = {0};
    batches.older = puppet_next_batch(puppet, 2, 10);
    batches.newer = puppet_next_batch(puppet, 2, 10);
    batches.older_head = (struct osr_feed_head){2, batches.older->chain, batches.older->signature};
    batches.feed = (struct osr_feed_restored){.id = batches.newer->feed,
                                              .public_key = puppet->key,
                                              .sequence = 4,
                                              .chain = batches.newer->chain,
                                              .time = {TIME_MS, 4},
                                              .head_sequence = 4,
                                              .head_chain = batches.newer->chain,
                                              .head_signature = batches.newer->signature};
    return batches;
}

void restored_done(struct restored_batches *batches)
{
    free(batches->older);
    free(batches->newer);
}

struct osr_feed_id made_up_feed(size_t number)
{
    struct osr_feed_id feed = {.stream = "kb", .epoch = 1};
    memset(feed.origin, 'a', OSR_INSTANCE_CHARS);
    for (size_t k = 0; k < 4; k++, number /= 26) {
        feed.origin[k] = (char)('a' + number % 26);
    }
    return feed;
}

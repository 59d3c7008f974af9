#include "model/digest.h"

#include <assert.h>
#include <stdlib.h>

#include "model/form.h"

struct osr_digest {
    struct osr_sha256_stream *stream;
    struct osr_buffer part;    /* what is added next; memory kept */
    struct osr_buffer last_id; /* to see that ids ascend */
    bool has_last_id;
};

static int compare_feeds(const void *a, const void *b)
{
    const struct osr_digest_feed *left = a;
    const struct osr_digest_feed *right = b;
    return osr_feed_id_compare(&left->feed, &right->feed);
}

static void flush_part(struct osr_digest *digest)
{
    osr_sha256_stream_add(digest->stream, digest->part.data, digest->part.size);
    digest->part.size = 0;
}

static void add_feed(struct osr_digest *digest, const struct osr_digest_feed *feed)
{
    osr_form_add_text(&digest->part, feed->feed.origin);
    osr_form_add_text(&digest->part, feed->feed.stream);
    osr_buffer_add_u64(&digest->part, feed->feed.epoch);
    osr_buffer_add_u64(&digest->part, feed->sequence);
    osr_buffer_add(&digest->part, feed->chain.bytes, sizeof(feed->chain.bytes));
    flush_part(digest);
}

struct osr_digest *osr_digest_create(struct osr_digest_feed *feeds, size_t count)
{
    struct osr_digest *digest = osr_alloc(sizeof(*digest));
    digest->stream = osr_sha256_stream_create();
    struct osr_slice tag = OSR_FORM_TAG("osiris digest 1");
    osr_buffer_add(&digest->part, tag.data, tag.size);

    uint32_t with_entries = 0;
    for (size_t i = 0; i < count; i++) {
        with_entries += feeds[i].sequence > 0;
    }
    osr_buffer_add_u32(&digest->part, with_entries);
    flush_part(digest);

    if (count > 0) {
        qsort(feeds, count, sizeof(feeds[0]), compare_feeds);
    }
    for (size_t i = 0; i < count; i++) {
        if (feeds[i].sequence > 0) {
            add_feed(digest, &feeds[i]);
        }
    }
    return digest;
}

void osr_digest_destroy(struct osr_digest *digest)
{
    if (digest == NULL) {
        return;
    }
    osr_sha256_stream_destroy(digest->stream);
    osr_buffer_done(&digest->part);
    osr_buffer_done(&digest->last_id);
    free(digest);
}

static bool is_behind_last(const struct osr_digest *digest, struct osr_slice id)
{
    struct osr_slice last = osr_buffer_slice(&digest->last_id);
    size_t common = last.size < id.size ? last.size : id.size;
    int order = common > 0 ? memcmp(last.data, id.data, common) : 0;
    return order < 0 || (order == 0 && last.size < id.size);
}

void osr_digest_add(struct osr_digest *digest, struct osr_slice id,
                    const struct osr_version *winner, Osr__Operation operation)
{
    assert(!digest->has_last_id || is_behind_last(digest, id));
    digest->has_last_id = true;
    digest->last_id.size = 0;
    osr_buffer_add(&digest->last_id, id.data, id.size);

    osr_form_add_slice(&digest->part, id);
    osr_buffer_add_u64(&digest->part, winner->time.ms);
    osr_buffer_add_u32(&digest->part, winner->time.logical);
    osr_form_add_text(&digest->part, winner->origin);
    osr_buffer_add_u8(&digest->part, (uint8_t)operation);
    flush_part(digest);
}

struct osr_hash osr_digest_finish(struct osr_digest *digest)
{
    return osr_sha256_stream_finish(digest->stream);
}

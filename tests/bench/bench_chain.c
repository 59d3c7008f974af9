/* bench_chain.c -- what the chain costs for one entry, at its origin and at each follower alike.
 *
 * usage: bench_chain
 *
 * One line: ns of CPU for the hashes of an entry with a document of 256 bytes. */
#include <string.h>

#include "bench.h"
#include "model/entry.h"

enum { ENTRIES = 500000 };

/* The stored form of what bench_osiris puts. */
static struct osr_buffer make_entry(void)
{
    static char id[] = "00000000000000000000000001", collection[] = "default";
    char data[BENCH_ITEM_BYTES];
    Osr__Json json = OSR__JSON__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    struct osr_buffer stored = {0};
    memset(data, 'x', sizeof(data));
    data[0] = data[sizeof(data) - 1] = '"';
    json.text.data = (uint8_t *)data;
    json.text.len = sizeof(data);
    document.id = id;
    document.collection = collection;
    document.data = &json;
    osr_entry_encode(&stored, (struct osr_time){1, 0}, OSR__OPERATION__PUT, &document);
    return stored;
}

int main(void)
{
    static const struct osr_feed_id feed = {
        .origin = "p3ultq7g2efodxons3anof66scwxrzpd", .stream = "kb", .epoch = 1};
    struct osr_buffer stored = make_entry();
    struct osr_hash chain = {0};
    double began_ns = bench_cpu_ns();
    for (uint64_t sequence = 1; sequence <= ENTRIES; sequence++) {
        struct osr_hash entry = osr_entry_hash(&feed, sequence, osr_buffer_slice(&stored));
        chain = osr_chain_next(&chain, &entry);
    }
    printf("bytes=%zu chain_ns=%.1f\n", stored.size, (bench_cpu_ns() - began_ns) / ENTRIES);
    osr_buffer_done(&stored);
    return 0;
}

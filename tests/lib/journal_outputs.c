#include "lib/journal_outputs.h"

void put_out_commit(struct osr_journal *journal, const struct osr_feed_id *feed, uint64_t first,
                    uint64_t last)
{
    struct osr_feed_output output = {.type = OSR_FEED_OUT_COMMIT};
    output.commit.feed = feed;
    output.commit.first = first;
    output.commit.last = last;
    osr_journal_carry_out(journal, &output);
}

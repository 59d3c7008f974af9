/* journal_outputs.h -- outputs of the core, as tests give them to a journal. */
#ifndef OSR_TESTS_JOURNAL_OUTPUTS_H
#define OSR_TESTS_JOURNAL_OUTPUTS_H

#include "node/journal.h"

/* COMMIT of these entries of a feed; first 0: of all that the log gave back up to last. */
void put_out_commit(struct osr_journal *journal, const struct osr_feed_id *feed, uint64_t first,
                    uint64_t last);

#endif

/* instance.h -- one running instance: it owns everything that osirisd is made of, and ties it
 * together: the engine (storage and the feed core), sessions, peers, operations, neighbours.
 *
 * Happy path: open the data folder (lock, identity.key, log/, documents.db, search.db), START
 * the core with what the log gave back, listen on DIR/osiris.sock and every --listen URL, dial
 * every --peer URL; then run the loop: bytes become frames become events of the core or
 * operations. At the end of each turn of the loop what was written is flushed into one batch, and
 * what was said is handed to the connections.
 *
 * Failures: what stands in the way of a start is an error of osr_instance_open, which leaves
 * nothing running. A full disk stops writes alone. A failed write or sync ends
 * osr_instance_run with IO.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_INSTANCE_H
#define OSR_NODE_INSTANCE_H

#include <uv.h>

#include "base/trace.h"
#include "node/config.h"

struct osr_instance;
struct osr_ledger;

/* Ready to serve on return, that is, listening. Config and trace must outlive the instance, which
 * takes the config's policy. A failure runs the loop until it is empty: open other handles on it
 * later. */
int osr_instance_open(uv_loop_t *loop, struct osr_config *config, const struct osr_trace *trace,
                      struct osr_instance **ret_instance, struct osr_err *err);
/* Runs the loop until osr_instance_stop (returns 0) or a failure that ends the process. */
int osr_instance_run(struct osr_instance *instance, struct osr_err *err);
/* Its ledger, for a program that has an instance in it; lives until osr_instance_close. */
struct osr_ledger *osr_instance_ledger(struct osr_instance *instance);
/* Reads config, keys and certificates again, all or nothing; the trace says how it went. */
void osr_instance_reload(struct osr_instance *instance);
/* Makes osr_instance_run return; from a callback of the loop. Repeating it does nothing. */
void osr_instance_stop(struct osr_instance *instance);
/* Says goodbye to peers and clients, finishes what was submitted to the disk, closes all and
 * runs the loop until that is done. Handles that others opened on the loop must be closed (uv_close
 * called) before. NULL is a no-op. */
void osr_instance_close(struct osr_instance *instance);

#endif

/* setup.h -- makes a data folder ready before its instance runs: as the first one of a cluster, or
 * as one that joins a cluster by an invitation.
 *
 * Each step looks first whether it is done already: what is there stays, a run that was cut short
 * is finished by the next one, and a folder that is ready is left as it is. All of it happens under
 * the folder's lock: IN_USE while an instance runs on it. FOREIGN_FILE where the folder has files,
 * and none of an instance.
 *
 * The config names the folder (osr_config_read); without a file in it, what the config says is
 * written into one, which then counts. CONFIG: there is one, and it says something else.
 *
 * Blocking: for programs that do nothing else. */
#ifndef OSR_NODE_SETUP_H
#define OSR_NODE_SETUP_H

#include "model/message.h"
#include "model/speakable.h"
#include "node/config.h"
#include "node/trust_folder.h"

/* Where the first instance listens if nothing else is said: frames and gRPC, of all networks, to
 * nobody but those who show who they are. */
#define OSR_SETUP_LISTEN "tls://0.0.0.0:7400"

struct osr_setup_report {
    char instance[OSR_INSTANCE_CHARS + 1];
    char speakable[OSR_SPEAKABLE_CHARS + 1];
    bool has_authority;                  /* the cluster's CA is in this folder */
    bool is_new;                         /* false: nothing was left to do */
    char missing_peer[OSR_URL_TEXT_MAX]; /* that a config which was there does not name; or empty */
};

/* Identity, TLS key, the cluster's CA and a certificate from it, config. A member of a cluster
 * whose CA is elsewhere gets none of its own. */
int osr_setup_init(const struct osr_config *config, uint64_t now_s,
                   struct osr_setup_report *ret_report, struct osr_err *err);

/* Identity and TLS key; appends the JoinRequest with `invitation` (osrt_...) as JSON.
 * WRONG_CLUSTER: the folder belongs to another cluster than the invitation. */
int osr_setup_join_begin(const struct osr_config *config, const char *invitation,
                         struct osr_buffer *ret_request, struct osr_err *err);
/* Stores what the answer brings, and writes the config with the peers to link to. Nothing is stored
 * on failure. WRONG_CLUSTER as above; ALREADY_EXISTS: the folder has a CA of its own. */
int osr_setup_join_finish(const struct osr_config *config, const Osr__JoinResponse *response,
                          struct osr_setup_report *ret_report, struct osr_err *err);

/* Makes the next CA, and believes it (trust_folder.h). Both without the lock: a running instance
 * takes it over with a reload. */
int osr_setup_begin_rotation(const struct osr_config *config, uint64_t now_s, struct osr_err *err);
/* Makes the cluster's CA at an instance that has no certificate of one, and its own certificate.
 * ALREADY_EXISTS: it has a CA, or is the member of one. Without the lock: as below. */
int osr_setup_make_authority(const struct osr_config *config, uint64_t now_s, struct osr_err *err);

/* Uses the next CA from now on, for the instance's own certificate too. */
int osr_setup_switch_authority(const struct osr_config *config, uint64_t now_s,
                               struct osr_err *err);

#endif

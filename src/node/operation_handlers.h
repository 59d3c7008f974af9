/* operation_handlers.h -- what each operation does; the rows of operations.c. For that file and
 * those that define them alone. */
#ifndef OSR_NODE_OPERATION_HANDLERS_H
#define OSR_NODE_OPERATION_HANDLERS_H

#include "core/attempts.h"
#include "node/issue_limit.h"
#include "node/log_finder.h"
#include "node/operations.h"

/* Answers the call, now or later. The frame lives until the return. */
typedef void osr_operation_handler(struct osr_operations *operations, struct osr_call *call,
                                   const Osr__Frame *frame);

struct osr_operations {
    const struct osr_services *services;
    /* Calls of `status --wait` that wait, and what looks after them. */
    struct osr_status_waiter *waiters;
    uv_timer_t wait_timer;
    struct osr_log_finder *finder;
    /* Calls of `feeds` and `feeds_followers` that wait while the report of another one is made. */
    struct osr_feeds_waiter *feeds_waiters;
    struct osr_feeds_waiter *last_feeds_waiter; /* where there are any */
    bool is_reporting_feeds;
    struct osr_attempts *attempts;       /* at passwords */
    uint32_t logins_waiting;             /* for the thread that compares passwords */
    uint32_t users_waiting;              /* likewise: passwords to be stored */
    struct osr_issue_limit *issue_limit; /* of RENEW */
};

/* write_operations.c */
osr_operation_handler osr_operation_kb_put, osr_operation_kb_update, osr_operation_kb_delete,
    osr_operation_kb_import, osr_operation_update_kb;
/* read_operations.c */
osr_operation_handler osr_operation_kb_get, osr_operation_kb_list, osr_operation_kb_search,
    osr_operation_kb_history, osr_operation_kb_watch, osr_operation_kb_digest,
    osr_operation_rebuild;
/* status_operation.c */
osr_operation_handler osr_operation_status;
/* feeds_operations.c */
osr_operation_handler osr_operation_feeds, osr_operation_feeds_followers;
/* resend_operation.c */
osr_operation_handler osr_operation_feeds_resend;

/* login_operations.c */
osr_operation_handler osr_operation_login, osr_operation_authenticate, osr_operation_user_put;
/* certificate_operations.c */
osr_operation_handler osr_operation_issue, osr_operation_renew;
/* join_operations.c */
osr_operation_handler osr_operation_invite, osr_operation_join;
/* renew_own_operation.c */
osr_operation_handler osr_operation_renew_own;
/* trust_operations.c */
osr_operation_handler osr_operation_token_create, osr_operation_reload;
/* revoke_operation.c */
osr_operation_handler osr_operation_revoke;
/* credentials_operation.c */
osr_operation_handler osr_operation_credentials;
/* access_operation.c */
osr_operation_handler osr_operation_access_check;
/* audit_operation.c */
osr_operation_handler osr_operation_audit;
/* written_operation.c */
osr_operation_handler osr_operation_written;

/* kv_operations.c */
osr_operation_handler osr_operation_kv_get, osr_operation_kv_put, osr_operation_kv_del;
/* cluster_operations.c */
osr_operation_handler osr_operation_cluster_status, osr_operation_cluster_change,
    osr_operation_cluster_transfer;
/* agreed_operations.c */
osr_operation_handler osr_operation_cluster_set, osr_operation_cluster_settings,
    osr_operation_access_set, osr_operation_access_show;

/* What a call is about to change of who may do what, for the audit log: which credential (`part`),
 * and what is worth knowing of it (`why`). BUSY: it must not be done. */
int osr_operation_note(const struct osr_call *call, const char *what, const char *part,
                       const char *why, struct osr_err *err);
/* INVALID_ARGUMENT or NOT_FOUND where the policy in force has not all of these roles. */
int osr_operation_roles(const struct osr_services *services, char *const *roles, size_t count,
                        struct osr_role_names *ret_roles, struct osr_err *err);
/* What a caller is told whose change of who may do what the log did not take. */
void osr_operation_refuse_unstored(struct osr_err *err, enum osr_code code);
/* Those that a user or a token brings, in place of what the policy says of the name; NULL: none. */
const struct osr_role_names *osr_operation_own_roles(const struct osr_services *services,
                                                     const char *who);
/* When something ends that lasts so long from now; INVALID_ARGUMENT past `max_ms`. */
int osr_operation_expiry(uint64_t lasts_ms, uint64_t max_ms, uint64_t *ret_expires_ms,
                         struct osr_err *err);

/* How long to wait where a request says so; INVALID_ARGUMENT past OSR_WAIT_MAX_MS. */
int osr_operation_timeout(uint32_t asked_ms, uint32_t *ret_timeout_ms, struct osr_err *err);
/* Ends the waiting of all `status --wait` calls; their callers are gone. */
void osr_status_waiters_drop(struct osr_operations *operations);

#endif

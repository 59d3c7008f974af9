/* command.h -- what the command line can do: one row a command, and what it is given to run. */
#ifndef OSR_BIN_COMMAND_H
#define OSR_BIN_COMMAND_H

#include <osiris/osiris.h>

#include "bin/arguments.h"
#include "bin/output.h"

/* One run of the command line. */
struct osr_context {
    bool json;                    /* messages, as JSON lines or YAML, instead of tables */
    struct osiris_client *client; /* of the instance that is meant */
    struct osr_arena *arena;      /* in which the reply lives that came last */
    uint32_t timeout_ms;          /* for an answer; 0: for ever */
    uint32_t acks_timeout_ms;     /* for what others do first; 0: the instance's default */
    struct osr_output out;        /* standard output */
    int exit_status;              /* where all went well, and there is something to tell by it */
};

/* Fills what the global options say. */
int osr_context_init(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err);
void osr_context_done(struct osr_context *context);
/* Connects where that is not done yet. From then on Ctrl-C interrupts the client instead of ending
 * the process. */
int osr_context_connect(struct osr_context *context, struct osr_err *err);

/* Turns to another instance (osiris_open), believing and showing what `trust` says (NULL:
 * nothing). */
int osr_context_turn_to(struct osr_context *context, const char *where,
                        const struct osiris_trust *trust, struct osr_err *err);
/* What the options say of whom to believe, and what to show. */
struct osiris_trust osr_context_trust(const struct osr_arguments *arguments);

/* Told a reply, which lives until the next one comes. Non-zero ends the call, and is returned. */
typedef int osr_on_reply(void *context, const ProtobufCMessage *reply);
/* Connects and calls the method ("kb_get"; libosiris(3) lists them). */
int osr_context_call(struct osr_context *context, const char *method,
                     const ProtobufCMessage *request, osr_on_reply *on_reply,
                     void *on_reply_context, struct osr_err *err);
/* An error of libosiris in our form; returns its code. */
int osr_context_fail(struct osr_err *err, const struct osiris_error *error);
/* For what waits for followers or for the ledger's members: they have their own time first. */
uint32_t osr_context_write_timeout_ms(const struct osr_context *context);

typedef int osr_command_run(struct osr_context *context, const struct osr_arguments *arguments,
                            struct osr_err *err);

struct osr_command {
    const char *name;        /* "kb add" */
    const char *operands;    /* for the usage line */
    const char *summary;     /* one line */
    const char *description; /* more, and examples */
    int operands_min, operands_max;
    const struct osr_flag_help *flags; /* besides the global ones */
    osr_command_run *run;
};
extern const struct osr_command osr_commands[];
extern const size_t osr_command_count;

/* The command with this name; NULL where there is none. */
const struct osr_command *osr_command_find(const char *name);
/* True where commands with more words begin with this one ("kb"). */
bool osr_command_is_group(const char *word);
/* The name that was probably meant; NULL where none comes near. */
const char *osr_command_suggest(const char *name);

/* Help as text: of everything (NULL), of a group ("kb"), of one command. */
void osr_help_write(struct osr_buffer *buffer, const char *group);
void osr_help_write_command(struct osr_buffer *buffer, const struct osr_command *command);

/* kb_write.c */
osr_command_run osr_run_kb_add, osr_run_kb_update, osr_run_kb_delete;
/* kb_read.c */
osr_command_run osr_run_kb_get, osr_run_kb_history, osr_run_kb_list, osr_run_kb_search;
osr_command_run osr_run_kb_digest;
/* kb_stream.c */
osr_command_run osr_run_kb_export, osr_run_kb_watch;
/* import.c */
osr_command_run osr_run_kb_import;
/* instance.c */
osr_command_run osr_run_status, osr_run_feeds, osr_run_feeds_resend, osr_run_rebuild;
/* kv.c */
osr_command_run osr_run_kv_get, osr_run_kv_put, osr_run_kv_del;
/* cluster.c */
osr_command_run osr_run_cluster_status, osr_run_cluster_members, osr_run_cluster_why;
osr_command_run osr_run_cluster_add, osr_run_cluster_remove, osr_run_cluster_promote;
osr_command_run osr_run_cluster_transfer;
/* agreed.c */
osr_command_run osr_run_cluster_set, osr_run_cluster_settings;
osr_command_run osr_run_access_set, osr_run_access_show;
/* init.c, join.c, doctor.c */
osr_command_run osr_run_init, osr_run_invite, osr_run_join, osr_run_doctor;
/* certificates.c */
osr_command_run osr_run_renew, osr_run_ca_init, osr_run_ca_list, osr_run_ca_add, osr_run_ca_issue,
    osr_run_ca_revoke, osr_run_ca_rotate;
/* certificate_renewal.c */
osr_command_run osr_run_ca_renew;
/* shared_key.c */
osr_command_run osr_run_key_add, osr_run_key_list, osr_run_key_show, osr_run_key_remove;
/* clients.c */
osr_command_run osr_run_client_add, osr_run_client_list, osr_run_client_remove, osr_run_client_key;
/* credentials.c */
osr_command_run osr_run_token_create, osr_run_token_list, osr_run_token_revoke;
osr_command_run osr_run_user_add, osr_run_user_list, osr_run_user_disable, osr_run_user_enable;
osr_command_run osr_run_user_password, osr_run_invite_list, osr_run_invite_revoke;
/* access.c */
osr_command_run osr_run_login, osr_run_whoami, osr_run_access_check, osr_run_reload;
/* audit.c */
osr_command_run osr_run_audit;

#endif

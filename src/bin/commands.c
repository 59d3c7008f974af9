/* The table of all commands: what each is called, takes and says about itself. */
#include "bin/command.h"

#define FOR_WRITES                                                                                 \
    {OSR_FLAG_COLLECTION, "put it into this collection"},                                          \
        {OSR_FLAG_KIND, "what it is: note, fact, ..."}, {OSR_FLAG_TAG, "a tag; may be repeated"},  \
        {OSR_FLAG_AUTHOR, "who says so"},                                                          \
    {                                                                                              \
        OSR_FLAG_EXPIRES, "hide it from then on: 90s, 15m, 12h, 7d, 2w,\n"                         \
                          "2031-12-31 or 2031-12-31T23:59:59Z"                                     \
    }

#define FOR_ACKS                                                                                   \
    {                                                                                              \
        OSR_FLAG_ACKS, "wait until this many followers hold it; --timeout\n"                       \
                       "is for them (default 10)"                                                  \
    }

#define END                                                                                        \
    {                                                                                              \
        OSR_FLAG_NONE, NULL                                                                        \
    }

static const struct osr_flag_help no_flags[] = {END};
static const struct osr_flag_help add_flags[] = {
    {OSR_FLAG_JSON, "any JSON value instead of TEXT"},
    {OSR_FLAG_ID, "give it this id (default: one is made)"},
    FOR_WRITES,
    FOR_ACKS,
    END};
static const struct osr_flag_help update_flags[] = {
    {OSR_FLAG_JSON, "any JSON value instead of TEXT"}, FOR_WRITES, FOR_ACKS, END};
static const struct osr_flag_help delete_flags[] = {FOR_ACKS, END};
static const struct osr_flag_help import_flags[] = {
    {OSR_FLAG_FORMAT, "array, jsonl, text or yaml (default: yaml for a file\n"
                      "named .yaml or .yml, else told by the input)"},
    {OSR_FLAG_SOURCE, "what the input is called (default: the file's path, or\n"
                      "stdin); entries are known again by this name"},
    FOR_WRITES,
    FOR_ACKS,
    END};
static const struct osr_flag_help list_flags[] = {
    {OSR_FLAG_LIMIT, "at most this many (default 100; 0: all)"},
    {OSR_FLAG_COLLECTION, "of this collection alone"},
    {OSR_FLAG_FROM, "begin behind the document with this id"},
    END};
static const struct osr_flag_help search_flags[] = {
    {OSR_FLAG_LIMIT, "at most this many (default 20; at most 1000)"}, END};
static const struct osr_flag_help export_flags[] = {
    {OSR_FLAG_FORMAT, "json: one array (default); jsonl: one value a line;\n"
                      "yaml: one document each"},
    {OSR_FLAG_FULL, "whole documents, not their data alone"},
    {OSR_FLAG_COLLECTION, "of this collection alone"},
    END};
static const struct osr_flag_help watch_flags[] = {
    {OSR_FLAG_FROM, "begin at this position (1: the very first; default:\n"
                    "what is new)"},
    {OSR_FLAG_COLLECTION, "of this collection alone"},
    END};
static const struct osr_flag_help resend_flags[] = {
    {OSR_FLAG_FROM, "the first entry's number in this instance's feed"}, END};
static const struct osr_flag_help status_flags[] = {
    {OSR_FLAG_WAIT, "wait up to this many seconds until the instance runs\n"
                    "and holds all that its peers are known to hold"},
    END};

static const struct osr_flag_help kv_get_flags[] = {
    {OSR_FLAG_LOCAL, "as this instance knows it, which may be old: also\n"
                     "without a majority"},
    END};
#define FOR_EXPECTED                                                                               \
    {                                                                                              \
        OSR_FLAG_EXPECT, "only where the key was written last by this\n"                           \
                         "index, or is not there; else CONFLICT"                                   \
    }
static const struct osr_flag_help kv_put_flags[] = {
    {OSR_FLAG_FILE, "what stands in this file, instead of VALUE"}, FOR_EXPECTED, END};
static const struct osr_flag_help kv_del_flags[] = {FOR_EXPECTED, END};
static const struct osr_flag_help cluster_add_flags[] = {
    {OSR_FLAG_LEARNER, "gets all, and never counts: for copies; where join\n"
                       "is by-hand"},
    END};
static const struct osr_flag_help cluster_remove_flags[] = {
    {OSR_FLAG_YES, "do not ask, though another voter cannot be reached"}, END};
static const struct osr_flag_help access_set_flags[] = {
    {OSR_FLAG_YES, "even if it shuts out you or a member"}, END};

enum { ANY_NUMBER = 1 << 20 };

static const struct osr_flag_help init_flags[] = {
    {OSR_FLAG_NAME, "what people call this instance (default: the machine's\n"
                    "name)"},
    {OSR_FLAG_CLUSTER, "what the cluster is called (default: osiris)"},
    {OSR_FLAG_LISTEN, "where others reach it; may be repeated (default:\n"
                      "tls://0.0.0.0:7400)"},
    {OSR_FLAG_NO_START, "make the folder ready, and start nothing"},
    {OSR_FLAG_ADDRESS, "what the invitation names; may be repeated (default:\n"
                       "where it listens)"},
    {OSR_FLAG_ROLE, "of who joins by the invitation (default: peer)"},
    {OSR_FLAG_EXPIRES, "the invitation, in 90s, 15m, 12h, 7d (default: 24h)"},
    END};
static const struct osr_flag_help invite_flags[] = {
    {OSR_FLAG_ROLE, "of who joins (default: peer)"},
    {OSR_FLAG_EXPIRES, "in 90s, 15m, 12h, 7d (default: 24h)"},
    {OSR_FLAG_ADDRESS, "a URL at which this instance is reached; may be\n"
                       "repeated (default: where it listens)"},
    END};
static const struct osr_flag_help join_flags[] = {
    {OSR_FLAG_NAME, "what people call this instance (default: the machine's\n"
                    "name)"},
    {OSR_FLAG_LISTEN, "let others reach it as well; may be repeated (default:\n"
                      "it dials, and listens nowhere)"},
    {OSR_FLAG_NO_START, "make the folder ready, and start nothing"},
    END};
static const struct osr_flag_help issue_flags[] = {
    {OSR_FLAG_OUT, "write PREFIX.key and PREFIX.crt (default: WHO's name)"},
    {OSR_FLAG_REQUEST, "a PKCS #10 request in PEM form, for a key of one's own"},
    {OSR_FLAG_NAME, "for people, in the certificate (default: WHO)"},
    {OSR_FLAG_HOST, "a DNS name or IP address of a server; may be repeated"},
    {OSR_FLAG_DAYS, "how long it is good (default: 90)"},
    END};
static const struct osr_flag_help revoke_flags[] = {
    {OSR_FLAG_INSTANCE, "an instance, by its id: all that it may do"}, END};
static const struct osr_flag_help rotate_flags[] = {
    {OSR_FLAG_FORCE, "switch or end, whoever is left behind by it"}, END};
static const struct osr_flag_help token_flags[] = {
    {OSR_FLAG_ROLE, "what may be done with it; may be repeated"},
    {OSR_FLAG_EXPIRES, "in 90s, 15m, 12h, 7d, or a date (default: never)"},
    END};
static const struct osr_flag_help user_add_flags[] = {
    {OSR_FLAG_ROLE, "what the user may do; may be repeated"},
    {OSR_FLAG_PASSWORD_FILE, "its first line is the password ('-': standard input);\n"
                             "else it is asked for, twice"},
    END};
static const struct osr_flag_help password_flags[] = {
    {OSR_FLAG_PASSWORD_FILE, "its first line is the password ('-': standard input);\n"
                             "else it is asked for"},
    END};
static const struct osr_flag_help audit_flags[] = {
    {OSR_FLAG_SINCE, "from then on: 90s, 15m, 12h, 7d ago, or a date"},
    {OSR_FLAG_WHO, "of this identity alone, as in user:ana"},
    {OSR_FLAG_DENIED, "only what was refused"},
    {OSR_FLAG_FOLLOW, "go on with what is noted from now on, until Ctrl-C"},
    {OSR_FLAG_WRITTEN_BY, "instead: which entries this instance wrote, by its id,\n"
                          "the beginning of it, or its short form"},
    {OSR_FLAG_FROM, "with --written-by: begin at this position"},
    {OSR_FLAG_LIMIT, "with --written-by: at most this many (default: all)"},
    END};
static const struct osr_flag_help key_add_flags[] = {
    {OSR_FLAG_SECRET_FILE, "the key of another instance, as key show wrote it\n"
                           "('-': standard input; default: one is made)"},
    END};

const struct osr_command osr_commands[] = {
    {"init", "", "make the first instance of a cluster, and start it",
     "Makes the data folder ready (identity, TLS key, the cluster's own CA, a\n"
     "certificate, osirisd.yaml), starts osirisd in the background, and prints the\n"
     "command by which another machine joins. What is there already stays as it is.\n"
     "\n"
     "Examples:\n"
     "  osiris init\n"
     "  osiris init --name library --cluster home --listen tls://0.0.0.0:7400\n",
     0, 0, init_flags, osr_run_init},
    {"invite", "", "print the command by which one machine joins",
     "Makes an invitation: good once, for one machine, until it expires. It holds\n"
     "addresses, the fingerprint of the cluster's CA, and a secret that is shown now\n"
     "and never again. To be asked of the instance that has the CA.\n"
     "\n"
     "Examples:\n"
     "  osiris invite\n"
     "  osiris invite --expires 15m --address tls://desk.example:7400\n",
     0, 0, invite_flags, osr_run_invite},
    {"invite list", "", "list invitations",
     "Shows every invitation: who made it, and whether it is good, used, expired or\n"
     "revoked.\n"
     "\n"
     "Example:\n"
     "  osiris invite list\n",
     0, 0, no_flags, osr_run_invite_list},
    {"invite revoke", "ID", "make an invitation worthless",
     "Takes an invitation back that has not been used. The certificate of who has used\n"
     "one is revoked with osiris ca revoke.\n"
     "\n"
     "Example:\n"
     "  osiris invite revoke 0f3c5ad6e1b2c4d8\n",
     1, 1, no_flags, osr_run_invite_revoke},
    {"join", "INVITATION|-", "make this machine's instance a member of a cluster",
     "Asks the inviting instance for a certificate, makes the data folder ready,\n"
     "starts osirisd in the background, and waits until it is linked. Whatever goes\n"
     "wrong before the invitation is used leaves it good: try again. '-' reads the\n"
     "invitation from standard input.\n"
     "\n"
     "Examples:\n"
     "  osiris join osri_...\n"
     "  osiris join osri_... --name desk --listen tls://0.0.0.0:7400\n"
     "  ssh desk osiris invite | osiris join -\n",
     1, 1, join_flags, osr_run_join},
    {"doctor", "", "look for what is wrong, and say what mends it",
     "Looks at identity, certificates, permissions of files, listeners, clock, disk\n"
     "and the links to each peer. Its exit status is 0 where all is well, 1 with\n"
     "warnings alone, 2 with errors.\n"
     "\n"
     "Examples:\n"
     "  osiris doctor\n"
     "  osiris -o json doctor | jq 'select(.level != \"ok\")'\n",
     0, 0, no_flags, osr_run_doctor},
    {"kb add", "TEXT | --json VALUE", "write a document",
     "Writes a new document and prints its id. TEXT is stored as a JSON string; '-'\n"
     "reads TEXT or VALUE from standard input.\n"
     "\n"
     "Examples:\n"
     "  osiris kb add 'The build needs libuv 1.44'\n"
     "  osiris kb add --json '{\"port\": 7400}' --kind fact --tag network\n"
     "  osiris kb add --acks 2 --timeout 5 'Two others hold this'\n"
     "  git log -1 | osiris kb add - --collection commits\n",
     0, 1, add_flags, osr_run_kb_add},
    {"kb import", "FILE|-", "write every entry of a file",
     "Writes each element of a JSON array, each of many JSON values (JSON lines), or\n"
     "each line of a text as a document. Importing again makes no doubles: entries are\n"
     "known by the input's name, what stands in them, and how often it stood there\n"
     "before. So Ctrl-C, a crash or a full disk cost nothing: repeat the command.\n"
     "\n"
     "Examples:\n"
     "  osiris kb import kb_a.json\n"
     "  osiris kb import notes.txt --collection notes --tag imported\n"
     "  tail -f events.jsonl | osiris kb import - --source events\n",
     1, 1, import_flags, osr_run_kb_import},
    {"kb get", "ID", "show a document",
     "Shows one document, the version that wins.\n"
     "\n"
     "Examples:\n"
     "  osiris kb get port-map\n"
     "  osiris -o json kb get port-map | jq .data\n",
     1, 1, no_flags, osr_run_kb_get},
    {"kb update", "ID [TEXT | --json VALUE]", "write a new version of a document",
     "Writes a new version of a document that is there. What is not given stays as it\n"
     "is; --tag replaces all tags (--tag '' leaves none).\n"
     "\n"
     "Examples:\n"
     "  osiris kb update port-map --json '{\"http\": 8080}'\n"
     "  osiris kb update port-map --tag network --tag checked\n",
     1, 2, update_flags, osr_run_kb_update},
    {"kb delete", "ID", "delete a document",
     "Hides a document from every reader. Its history stays.\n"
     "\n"
     "Example:\n"
     "  osiris kb delete port-map\n",
     1, 1, delete_flags, osr_run_kb_delete},
    {"kb history", "ID", "show all versions of a document",
     "Shows every known version, the newest first: the one that wins, those which a\n"
     "later one replaced, and those written at the same time elsewhere that lost.\n"
     "\n"
     "Example:\n"
     "  osiris kb history port-map\n",
     1, 1, no_flags, osr_run_kb_history},
    {"kb list", "", "list documents",
     "Lists documents in the order of their ids, which is the order of creation where\n"
     "Osiris made them.\n"
     "\n"
     "Examples:\n"
     "  osiris kb list\n"
     "  osiris -o json kb list --limit 0 --collection notes\n",
     0, 0, list_flags, osr_run_kb_list},
    {"kb search", "QUERY...", "find documents by their words",
     "Shows the documents in which all words occur, the best first. \"Several words\" in\n"
     "double quotes are a phrase; word* finds all that begin so.\n"
     "\n"
     "Examples:\n"
     "  osiris kb search garbage collection\n"
     "  osiris kb search '\"garbage collection\" gener*' --limit 5\n",
     1, ANY_NUMBER, search_flags, osr_run_kb_search},
    {"kb export", "", "write all documents to standard output",
     "Writes the data of all documents as JSON.\n"
     "\n"
     "Examples:\n"
     "  osiris kb export >kb.json\n"
     "  osiris kb export --format jsonl --full | gzip >backup.jsonl.gz\n",
     0, 0, export_flags, osr_run_kb_export},
    {"kb watch", "", "show what is written, as it is written",
     "Shows each change as it arrives, from here or from elsewhere, until Ctrl-C. To\n"
     "miss nothing, go on with --from one behind the last position shown.\n"
     "\n"
     "Examples:\n"
     "  osiris kb watch\n"
     "  osiris -o json kb watch --from 1 --collection alerts\n",
     0, 0, watch_flags, osr_run_kb_watch},
    {"kb digest", "", "show one hash over all that is held",
     "Instances that hold the same show the same.\n"
     "\n"
     "Example:\n"
     "  osiris kb digest\n",
     0, 0, no_flags, osr_run_kb_digest},
    {"kv get", "KEY", "show a value that the cluster agrees on",
     "Prints the value's bytes, just as they are; a terminal gets them as text. The\n"
     "answer is the newest, whichever member is asked, and needs a majority of the\n"
     "voters, for which it waits 10 seconds, or --timeout. -o json also tells which\n"
     "index wrote it, for --expect.\n"
     "\n"
     "Examples:\n"
     "  osiris kv get config/port\n"
     "  osiris kv get --local config/port\n"
     "  osiris -o json kv get config/port | jq .index\n",
     1, 1, kv_get_flags, osr_run_kv_get},
    {"kv put", "KEY VALUE | KEY --file FILE", "store a value that the cluster agrees on",
     "Stores it at a majority of the voters, and prints the index of the write. VALUE\n"
     "'-' reads standard input, up to the last byte. A key has 1 to 480 bytes, a value\n"
     "up to 1 MiB. After TIMEOUT nobody knows whether it was done: read first.\n"
     "\n"
     "Examples:\n"
     "  osiris kv put config/port 7400\n"
     "  osiris kv put leases/nightly desk --expect absent\n"
     "  osiris kv put config/port 7401 --expect 17\n"
     "  osiris kv put certificates/web --file web.pem\n",
     1, 2, kv_put_flags, osr_run_kv_put},
    {"kv del", "KEY", "delete a value that the cluster agrees on",
     "Deletes the key at a majority of the voters.\n"
     "\n"
     "Examples:\n"
     "  osiris kv del config/port\n"
     "  osiris kv del leases/nightly --expect 21\n",
     1, 1, kv_del_flags, osr_run_kv_del},
    {"feeds", "", "show each feed, its followers and their lag",
     "Shows every feed held here, who follows it, and how far behind they are.\n"
     "\n"
     "Example:\n"
     "  osiris feeds\n",
     0, 0, no_flags, osr_run_feeds},
    {"feeds resend", "PEER --from N", "send a peer entries again",
     "Sends this instance's feed to a peer again, from entry N on: for seed peers,\n"
     "which may have lost what they had. PEER is its address as configured, or its\n"
     "instance id.\n"
     "\n"
     "Example:\n"
     "  osiris feeds resend 'tcp://127.0.0.1:12346?peer=seed' --from 1\n",
     1, 1, resend_flags, osr_run_feeds_resend},
    {"status", "", "show how the instance is",
     "Shows the instance, its peers and its storage.\n"
     "\n"
     "Examples:\n"
     "  osiris status\n"
     "  osiris status --wait 10 && echo 'in step'\n",
     0, 0, status_flags, osr_run_status},
    {"cluster status", "", "show the ledger as this instance sees it",
     "Shows this instance's part in it (leader, follower, learner, ...), who leads,\n"
     "how far the log is, and the members.\n"
     "\n"
     "Examples:\n"
     "  osiris cluster status\n"
     "  osiris -o json cluster status | jq .role\n",
     0, 0, no_flags, osr_run_cluster_status},
    {"cluster members", "", "list the members of the ledger",
     "Shows for each whether it votes, whether it can be reached from here, what it\n"
     "surely has (the leader knows), and how long ago it was heard.\n"
     "\n"
     "Example:\n"
     "  osiris cluster members\n",
     0, 0, no_flags, osr_run_cluster_members},
    {"cluster why", "", "say how the ledger stands, why, and what is safe",
     "Who leads since when, or why nobody does; who cannot be reached or lags behind,\n"
     "and what may be stopped or removed without harm. The leader knows most: ask it.\n"
     "\n"
     "Example:\n"
     "  osiris cluster why\n",
     0, 0, no_flags, osr_run_cluster_why},
    {"cluster add", "NAME", "make a linked instance a member of the ledger",
     "Adds an instance that is linked and waits. Who joins is added within seconds\n"
     "without this, and is to vote; only after osiris cluster set join by-hand does it\n"
     "wait for this command. It begins as a learner, and votes once it has caught up;\n"
     "with --learner it stays one, until osiris cluster promote. NAME is the\n"
     "instance's name or id.\n"
     "\n"
     "Examples:\n"
     "  osiris cluster set join by-hand\n"
     "  osiris cluster add desk\n"
     "  osiris cluster add --learner archive\n",
     1, 1, cluster_add_flags, osr_run_cluster_add},
    {"cluster remove", "NAME", "take a member out of the ledger",
     "It counts no more, and gets nothing more. Where another voter cannot be reached\n"
     "you are asked first. The leader may be removed: another one takes over. NAME is\n"
     "the instance's name or id, or the member's number. It comes back, as a new\n"
     "member, when it is started once with osirisd --ledger rejoin.\n"
     "\n"
     "Examples:\n"
     "  osiris cluster remove desk\n"
     "  osiris cluster remove 25505762104352 --yes\n",
     1, 1, cluster_remove_flags, osr_run_cluster_remove},
    {"cluster promote", "NAME", "make a learner a voter",
     "For a learner that was added to stay one, by osiris cluster add --learner or\n"
     "past voters-max; the others are promoted by themselves once they have caught up.\n"
     "\n"
     "Example:\n"
     "  osiris cluster promote archive\n",
     1, 1, no_flags, osr_run_cluster_promote},
    {"cluster transfer", "[NAME]", "let another voter lead",
     "Before the leader is stopped, say. Without NAME it is the voter that has most.\n"
     "\n"
     "Example:\n"
     "  osiris cluster transfer library\n",
     0, 1, no_flags, osr_run_cluster_transfer},
    {"cluster set", "NAME VALUE", "set what all members of the ledger obey",
     "Ends once a majority has agreed. An empty VALUE sets the default again.\n"
     "osiris cluster settings shows what there is, and what it means.\n"
     "\n"
     "Examples:\n"
     "  osiris cluster set join by-hand\n"
     "  osiris cluster set voters-max 3\n",
     2, 2, no_flags, osr_run_cluster_set},
    {"cluster settings", "", "show what all members of the ledger obey",
     "Each setting with its value, as this member knows it, and what it means.\n"
     "\n"
     "Example:\n"
     "  osiris cluster settings\n",
     0, 0, no_flags, osr_run_cluster_settings},
    {"rebuild", "", "make documents and search index anew from the log",
     "The log is the truth; this throws away what was made from it and makes it anew.\n"
     "The instance goes on serving meanwhile.\n"
     "\n"
     "Example:\n"
     "  osiris rebuild\n",
     0, 0, no_flags, osr_run_rebuild},
    {"reload", "", "take over what has changed in config and keys",
     "Reads config, keys and certificates again: all of it, or nothing where something\n"
     "is wrong. Links stay up, unless they are no longer let in.\n"
     "\n"
     "Example:\n"
     "  osiris reload\n",
     0, 0, no_flags, osr_run_reload},
    {"renew", "", "renew the own certificate now",
     "Has the cluster's CA give this instance a new certificate, over the link with\n"
     "the CA's instance, and takes over which CAs are to be believed. It does so by\n"
     "itself in time; links stay up.\n"
     "\n"
     "Example:\n"
     "  osiris renew\n",
     0, 0, no_flags, osr_run_renew},
    {"ca init", "", "make this instance the CA's of its cluster",
     "Makes the cluster's CA at an instance that has none, as osiris init does for a\n"
     "new one: where instances were linked by pinned ids or shared keys so far. Links\n"
     "that are up stay up.\n"
     "\n"
     "Example:\n"
     "  osiris ca init\n",
     0, 0, no_flags, osr_run_ca_init},
    {"ca list", "", "list CAs, the own certificate, and what was revoked",
     "Shows the CAs that the instance believes, its own certificate, and the\n"
     "certificates that were revoked.\n"
     "\n"
     "Example:\n"
     "  osiris ca list\n",
     0, 0, no_flags, osr_run_ca_list},
    {"ca add", "FILE", "believe another CA as well",
     "Believes the CAs whose certificates are in the file (PEM): an outside CA, or\n"
     "another cluster's.\n"
     "\n"
     "Example:\n"
     "  osiris ca add company-ca.pem\n",
     1, 1, no_flags, osr_run_ca_add},
    {"ca issue", "WHO", "make a certificate for somebody",
     "Makes a key here and has the cluster's CA certify it, for a person (user:NAME)\n"
     "or for an instance that cannot join by an invitation (instance:ID).\n"
     "\n"
     "Examples:\n"
     "  osiris ca issue user:ana --days 30\n"
     "  osiris ca issue user:ana --request ana.csr --out certificates/ana\n",
     1, 1, issue_flags, osr_run_ca_issue},
    {"ca renew", "", "renew a certificate that --cert and --key show",
     "Gets a new certificate from the cluster's CA for the same name and key, and puts\n"
     "it in the place of --cert. The old one stays good until it expires. Without\n"
     "--cert it is the instance's own, as with osiris renew. The CA's own certificate\n"
     "is renewed by a new CA: osiris ca rotate.\n"
     "\n"
     "Examples:\n"
     "  osiris ca renew\n"
     "  osiris --to grpcs://desk:7400 --ca ca.pem --cert me.crt --key me.key ca renew\n",
     0, 0, no_flags, osr_run_ca_renew},
    {"ca revoke", "SERIAL | --instance ID", "let somebody in no more",
     "Revokes a certificate of the cluster's CA by its serial number, or an instance\n"
     "with all of its certificates, those to come as well: nothing that it writes is\n"
     "taken from then on. Done at the CA's instance, it holds at all members as soon\n"
     "as they hear of it, and links end with it. A serial number that is no member's\n"
     "is revoked as well, and said to be unknown: those of people are not listed.\n"
     "\n"
     "Examples:\n"
     "  osiris ca revoke 5A3C19E0B7\n"
     "  osiris ca revoke --instance p3ultq7g2efodxons3anof66scwxrzpd\n",
     0, 1, revoke_flags, osr_run_ca_revoke},
    {"ca rotate", "begin|switch|end", "put another CA in the place of the cluster's",
     "Three steps, none of which drops a link: begin makes the next CA, which\n"
     "everybody is to believe; switch issues by it; end believes the old one no\n"
     "longer. Linked members follow each step by themselves within an hour and a half,\n"
     "or at once by osiris renew there. Before all that are linked can have heard of\n"
     "the next CA, switch says when they have, and changes nothing. As long as some\n"
     "have no certificate of the new CA, end names them and changes nothing.\n"
     "\n"
     "Example:\n"
     "  osiris ca rotate begin\n",
     1, 1, rotate_flags, osr_run_ca_rotate},
    {"token create", "NAME --role ROLE", "make a token for a program",
     "Prints a bearer token: shown now and never again. Its identity is token:NAME.\n"
     "\n"
     "Examples:\n"
     "  (umask 077; osiris token create ci --role reader --expires 30d >ci.token)\n"
     "  osiris --to grpcs://desk:7400 --ca ca.pem --token-file ci.token kb list\n",
     1, 1, token_flags, osr_run_token_create},
    {"token list", "", "list tokens",
     "Shows each token by its id, never the secret.\n"
     "\n"
     "Example:\n"
     "  osiris token list\n",
     0, 0, no_flags, osr_run_token_list},
    {"token revoke", "ID", "make a token worthless",
     "From now on the token is refused, and connections that rest on it may do\n"
     "nothing more.\n"
     "\n"
     "Example:\n"
     "  osiris token revoke 0f3c5ad6e1b2c4d8\n",
     1, 1, no_flags, osr_run_token_revoke},
    {"user add", "NAME --role ROLE", "make a user with a password",
     "Makes somebody who logs in with a password, as user:NAME.\n"
     "\n"
     "Examples:\n"
     "  osiris user add ana --role editor\n"
     "  osiris user add ana --role editor --password-file - <password\n",
     1, 1, user_add_flags, osr_run_user_add},
    {"user list", "", "list users",
     "Shows each user with roles and state.\n"
     "\n"
     "Example:\n"
     "  osiris user list\n",
     0, 0, no_flags, osr_run_user_list},
    {"user password", "NAME", "give a user another password",
     "Ends the user's logins as well.\n"
     "\n"
     "Example:\n"
     "  osiris user password ana\n",
     1, 1, password_flags, osr_run_user_password},
    {"user disable", "NAME", "let a user in no more",
     "Ends the user's logins, and lets nobody log in under the name until it is\n"
     "enabled again.\n"
     "\n"
     "Example:\n"
     "  osiris user disable ana\n",
     1, 1, no_flags, osr_run_user_disable},
    {"user enable", "NAME", "let a user in again",
     "Takes back osiris user disable.\n"
     "\n"
     "Example:\n"
     "  osiris user enable ana\n",
     1, 1, no_flags, osr_run_user_enable},
    {"login", "URL USER", "show a password once, for some hours",
     "Gets a token for a password and keeps it, for its owner alone, in\n"
     "~/.config/osiris. It is shown wherever --to names the same URL.\n"
     "\n"
     "Examples:\n"
     "  osiris login grpcs://desk.example:7400 ana --ca ca.pem\n"
     "  osiris --to grpcs://desk.example:7400 --ca ca.pem kb list\n",
     2, 2, password_flags, osr_run_login},
    {"whoami", "", "show who the instance takes you for",
     "Shows identity and roles, and until when they hold.\n"
     "\n"
     "Example:\n"
     "  osiris whoami\n",
     0, 0, no_flags, osr_run_whoami},
    {"access check", "WHO ACTION PART", "explain who may do what",
     "Answers whether WHO may do ACTION on PART, rule by rule. The exit status is 0\n"
     "where it is allowed, 77 where it is not.\n"
     "\n"
     "Example:\n"
     "  osiris access check user:ana write collection:notes\n",
     3, 3, no_flags, osr_run_access_check},
    {"access set", "FILE", "set who may do what, at all members of the ledger",
     "FILE (\"-\": standard input) holds what stands below access: in a config file:\n"
     "roles and members. It holds at every member whose own config file has no such\n"
     "section, also at those that are down now. An empty one takes it away again. What\n"
     "would shut out you or a member is refused without --yes.\n"
     "\n"
     "Examples:\n"
     "  osiris access set access.yaml\n"
     "  osiris access show | sed s/ana/eva/ | osiris access set -\n",
     1, 1, access_set_flags, osr_run_access_set},
    {"access show", "", "show the agreed policy, and whether it holds here",
     "Prints what osiris access set was given last, below a comment that says whether\n"
     "this instance obeys it or its own config file.\n"
     "\n"
     "Example:\n"
     "  osiris access show >access.yaml\n",
     0, 0, no_flags, osr_run_access_show},
    {"audit", "", "show who did what, and what was refused",
     "Reads the audit log, and verifies that nothing in it was altered. Names at its\n"
     "end who may not write any more and has left entries here; --written-by lists\n"
     "them: where they stand, when they were written, and the ids of their documents.\n"
     "\n"
     "Examples:\n"
     "  osiris audit --since 1h --denied\n"
     "  osiris audit --who user:ana --since 2031-12-31\n"
     "  osiris audit -f --denied --since 1m\n"
     "  osiris audit --written-by kxq4-72mn-b3ta-w\n",
     0, 0, audit_flags, osr_run_audit},
    {"key add", "NAME", "make a shared key, or take one over",
     "Shared keys are TLS without certificates: each instance of the cluster has the\n"
     "same, and so has whoever is to be let in. Several are good at once, for\n"
     "rotation; the newest is shown to others. One that is made is printed.\n"
     "\n"
     "Examples:\n"
     "  (umask 077; osiris key add winter >winter.key)\n"
     "  osiris key add winter --secret-file winter.key\n"
     "  ssh desk osiris key show winter | osiris key add winter --secret-file -\n",
     1, 1, key_add_flags, osr_run_key_add},
    {"key list", "", "list the names of shared keys",
     "Shows them, the newest first.\n"
     "\n"
     "Example:\n"
     "  osiris key list\n",
     0, 0, no_flags, osr_run_key_list},
    {"key show", "NAME", "print a shared key, for another instance",
     "Prints NAME and secret, as key add and --shared-key take it.\n"
     "\n"
     "Example:\n"
     "  (umask 077; osiris key show winter >winter.key)\n",
     1, 1, no_flags, osr_run_key_show},
    {"key remove", "NAME", "take a shared key no longer",
     "Whoever shows it is refused from now on.\n"
     "\n"
     "Example:\n"
     "  osiris key remove autumn\n",
     1, 1, no_flags, osr_run_key_remove},
    {"client add", "NAME [PUBLIC_KEY]", "let a ZeroMQ client in, by its key",
     "NAME is then \"client:NAME\", and may do what the config's access section gives\n"
     "it. PUBLIC_KEY is its CURVE key in Z85. Without one a pair is made: its secret\n"
     "key is printed now and never again. An instance that runs has to be started\n"
     "anew for it.\n"
     "\n"
     "Examples:\n"
     "  osiris client add robot 'rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7'\n"
     "  (umask 077; osiris client add robot >robot.key)\n",
     1, 2, no_flags, osr_run_client_add},
    {"client list", "", "list the ZeroMQ clients and their keys",
     "Shows each client's name and public key.\n"
     "\n"
     "Example:\n"
     "  osiris client list\n",
     0, 0, no_flags, osr_run_client_list},
    {"client remove", "NAME", "let a ZeroMQ client in no longer",
     "Its key is refused once the instance has been started anew.\n"
     "\n"
     "Example:\n"
     "  osiris client remove robot\n",
     1, 1, no_flags, osr_run_client_remove},
    {"client key", "", "print the key by which ZeroMQ clients know this instance",
     "Its public CURVE key in Z85: what a client calls the server's key. It is made\n"
     "when it is first needed.\n"
     "\n"
     "Example:\n"
     "  osiris client key\n",
     0, 0, no_flags, osr_run_client_key},
};
const size_t osr_command_count = sizeof(osr_commands) / sizeof(osr_commands[0]);

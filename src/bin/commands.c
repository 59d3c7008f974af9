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
    {OSR_FLAG_FORMAT, "array, jsonl or text (default: told by the input)"},
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
    {OSR_FLAG_FORMAT, "json: one array (default); jsonl: one value a line"},
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
    {OSR_FLAG_WAIT, "wait up to this many seconds until the instance runs and\n"
                    "holds all that its peers are known to hold"},
    END};

enum { ANY_NUMBER = 1 << 20 };

const struct osr_command osr_commands[] = {
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
     "Shows each change as it arrives, from here or from elsewhere, until Ctrl-C. To miss\n"
     "nothing, go on with --from one behind the last position shown.\n"
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
    {"feeds", "", "show each feed, its followers and their lag",
     "Shows every feed held here, who follows it, and how far behind they are.\n"
     "\n"
     "Example:\n"
     "  osiris feeds\n",
     0, 0, no_flags, osr_run_feeds},
    {"feeds resend", "PEER --from N", "send a peer entries again",
     "Sends this instance's feed to a peer again, from entry N on: for seed peers, which may\n"
     "have lost what they had. PEER is its address as configured, or its instance id.\n"
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
    {"rebuild", "", "make documents and search index anew from the log",
     "The log is the truth; this throws away what was made from it and makes it anew.\n"
     "The instance goes on serving meanwhile.\n"
     "\n"
     "Example:\n"
     "  osiris rebuild\n",
     0, 0, no_flags, osr_run_rebuild},
};
const size_t osr_command_count = sizeof(osr_commands) / sizeof(osr_commands[0]);

/* Which ledger this instance belongs to, as which member, and how often it has started as that. */
#include "node/ledger_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "adapter/durable_name.h"
#include "adapter/keys.h"
#include "base/text.h"

#define FACT_LEDGER "ledger"
#define FACT_STARTS "ledger-starts"

enum {
    LEDGER_ID_BYTES = 16,
    /* Of the fact: the ledger's id (zeros: none), u64 member, u8 is_founder, u32 log id. */
    MEMBER_AT = OSR_LEDGER_ID_CHARS,
    FOUNDER_AT = MEMBER_AT + 8,
    LOG_AT = FOUNDER_AT + 1,
    FACT_LEDGER_SIZE = LOG_AT + 4,
};

static void read_fact(void *context, const char *key, struct osr_slice value)
{
    struct osr_ledger *ledger = context;
    if (strcmp(key, FACT_LEDGER) == 0 && value.size == FACT_LEDGER_SIZE) {
        memcpy(ledger->id, value.data, OSR_LEDGER_ID_CHARS);
        ledger->member = osr_get_u64(value.data + MEMBER_AT);
        ledger->is_founder = value.data[FOUNDER_AT] != 0;
        ledger->log_id = osr_get_u32(value.data + LOG_AT);
    } else if (strcmp(key, FACT_LEDGER) == 0) {
        ledger->is_unknown = true;
    } else if (strcmp(key, FACT_STARTS) == 0 && value.size == 8) {
        ledger->starts = osr_get_u64(value.data);
    }
}

/* What is stored of a ledger means nothing without this. */
static void identity_written(void *context, enum osr_code code)
{
    struct osr_ledger *ledger = context;
    if (code == OSR_OK && ledger->config->ledger == OSR_CONFIG_LEDGER_REJOIN) {
        osr_trace(ledger->trace, OSR_LEVEL_WARNING,
                  "ledger: start this instance without --ledger rejoin from now on");
    }
    if (code == OSR_OK || ledger->is_closing) {
        return;
    }
    struct osr_err err;
    osr_err_set(&err, code, "ledger: could not note which one this instance belongs to");
    osr_err_hint(&err, "make room on the disk of the data folder, then start again");
    ledger->on_failure(ledger->context, &err);
}

/* It stands in the log in front of all that is stored after it, so nobody waits for it. */
static void write_identity(struct osr_ledger *ledger)
{
    uint8_t value[FACT_LEDGER_SIZE];
    memcpy(value, ledger->id, OSR_LEDGER_ID_CHARS);
    osr_put_u64(value + MEMBER_AT, ledger->member);
    value[FOUNDER_AT] = ledger->is_founder;
    osr_put_u32(value + LOG_AT, ledger->log_id);
    osr_journal_fact(ledger->journal, FACT_LEDGER, osr_slice(value, sizeof(value)),
                     identity_written, ledger);
}

static void count_start(struct osr_ledger *ledger)
{
    uint8_t value[8];
    ledger->starts++;
    osr_put_u64(value, ledger->starts);
    osr_journal_fact(ledger->journal, FACT_STARTS, osr_slice(value, sizeof(value)), NULL, NULL);
}

static void found(struct osr_ledger *ledger)
{
    uint8_t id[LEDGER_ID_BYTES];
    osr_secret_random(id, sizeof(id));
    osr_base32_encode(ledger->id, osr_slice(id, sizeof(id)));
    ledger->member = osr_ledger_random_member();
    ledger->is_founder = true;
    write_identity(ledger);
}

/* Its owner says so, once: for a member that has lost what it said, or whose data are damaged. */
static int give_up(struct osr_ledger *ledger, struct osr_err *err)
{
    char *folder = osr_format("%s/ledger", ledger->config->data);
    char *aside = osr_format("%s/ledger-given-up-%llu", ledger->config->data,
                             (unsigned long long)osr_wall_ms());
    struct osr_disk *disk = osr_disk_system();
    int code = disk->ops->make_folder(disk, folder, err);
    if (code == 0) { /* for good, before the log says so: none of it may come back */
        code = osr_durable_rename(disk, ledger->config->data, folder, aside, err);
    }
    if (code == 0) {
        osr_trace(
            ledger->trace, OSR_LEVEL_WARNING,
            "ledger: what there was of %s is given up, and lies in %s; this instance waits to "
            "be added by a member",
            ledger->id[0] != '\0' ? ledger->id : "none", aside);
        ledger->log_id = osr_journal_ledger_give_up(ledger->journal, 0);
        memset(ledger->id, 0, sizeof(ledger->id));
        ledger->member = 0;
        ledger->is_founder = false;
    }
    free(folder);
    free(aside);
    return code;
}

int osr_ledger_recall(struct osr_ledger *ledger, struct osr_err *err)
{
    osr_secret_random(&ledger->start, sizeof(ledger->start));
    /* Anywhere, so that a late answer to this member's last process finds no request. */
    ledger->last_number = osr_ledger_random_member();
    osr_journal_facts(ledger->journal, FACT_LEDGER, read_fact, ledger);
    if (ledger->is_unknown) {
        osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                    "ledger: what the log says of this instance's membership is not understood");
        osr_err_hint(err, "it was written by a newer osirisd: start that one");
        return OSR_UNSUPPORTED_VERSION;
    }
    if (ledger->config->ledger == OSR_CONFIG_LEDGER_REJOIN) {
        return give_up(ledger, err);
    }
    if (ledger->log_id != 0) {
        osr_journal_ledger_give_up(ledger->journal, ledger->log_id);
    }
    return 0;
}

void osr_ledger_identify(struct osr_ledger *ledger)
{
    if (ledger->config->ledger == OSR_CONFIG_LEDGER_REJOIN) {
        write_identity(ledger); /* none: it was given up */
    }
    if (ledger->id[0] == '\0' && ledger->config->ledger == OSR_CONFIG_LEDGER_FOUND) {
        found(ledger);
    }
    if (ledger->id[0] != '\0') {
        count_start(ledger);
    }
}

void osr_ledger_join(struct osr_ledger *ledger, const char *id, uint64_t member)
{
    snprintf(ledger->id, sizeof(ledger->id), "%s", id);
    ledger->member = member;
    ledger->is_founder = false;
    ledger->starts = 0;
    write_identity(ledger);
    count_start(ledger);
}

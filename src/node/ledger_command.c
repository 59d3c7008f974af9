/* The envelope of a ledger's commands. */
#include "node/ledger_state.h"

enum {
    FORMAT = 1,
    MACHINE_AT = 1,
    VERSION_AT = 3,
    START_AT = 4,
    NUMBER_AT = 12,
};
_Static_assert((int)NUMBER_AT + (int)sizeof(uint64_t) == OSR_LEDGER_ENVELOPE_SIZE,
               "the command begins behind its number");

void osr_ledger_command_encode(const struct osr_ledger_command *command, struct osr_buffer *buffer)
{
    uint8_t envelope[OSR_LEDGER_ENVELOPE_SIZE];

    envelope[0] = FORMAT;
    envelope[MACHINE_AT] = (uint8_t)(command->machine >> 8);
    envelope[MACHINE_AT + 1] = (uint8_t)command->machine;
    envelope[VERSION_AT] = command->version;
    osr_put_u64(envelope + START_AT, command->start);
    osr_put_u64(envelope + NUMBER_AT, command->number);
    osr_buffer_add(buffer, envelope, sizeof(envelope));
    osr_buffer_add(buffer, command->bytes.data, command->bytes.size);
}

int osr_ledger_command_decode(struct osr_slice payload, struct osr_ledger_command *ret_command,
                              struct osr_err *err)
{
    const uint8_t *at = payload.data;

    if (payload.size > 0 && at[0] > FORMAT) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION, "a command of format %u, known: %d",
                                at[0], FORMAT);
    }
    if (payload.size < OSR_LEDGER_ENVELOPE_SIZE || at[0] != FORMAT || at[VERSION_AT] == 0) {
        return (int)osr_err_set(err, OSR_MALFORMED, "%zu bytes that are no command", payload.size);
    }
    *ret_command = (struct osr_ledger_command){
        .machine = (enum osr_machine_id)(at[MACHINE_AT] << 8 | at[MACHINE_AT + 1]),
        .version = at[VERSION_AT],
        .start = osr_get_u64(at + START_AT),
        .number = osr_get_u64(at + NUMBER_AT),
        .bytes = osr_slice(at + OSR_LEDGER_ENVELOPE_SIZE, payload.size - OSR_LEDGER_ENVELOPE_SIZE),
    };
    return 0;
}

/* The config file: whatever it holds, it is taken or refused with a message that names it. */
#include "fuzz.h"

#include <string.h>

#include "node/config_file.h"
#include "node/config_option.h"

static void must_be_within_limits(const struct osr_config *config)
{
    MUST(config->listen_count <= OSR_CONFIG_LISTENERS_MAX);
    MUST(config->follow_file_count <= OSR_CONFIG_FOLLOW_FILES_MAX);
    MUST(config->name == NULL || config->name[0] != '\0');
    MUST(config->mirror == NULL || strlen(config->mirror) <= OSR_CONFIG_PATH_BYTES_MAX);
    for (size_t i = 0; i < OSR_OPTION_COUNT; i++) {
        if (osr_options[i].kind != OSR_OPTION_NUMBER)
            continue;
        uint32_t number;
        memcpy(&number, (const char *)config + osr_options[i].offset, sizeof number);
        MUST(number == 0 || (number >= osr_options[i].min && number <= osr_options[i].max));
    }
}

/* Whatever the section says, nobody is locked out, and nobody without an identity is let in. */
static void must_keep_its_administrator(const struct osr_policy *access)
{
    for (size_t i = 0; i < OSR_ACTION_COUNT; i++) {
        for (size_t kind = 0; kind < OSR_PART_KIND_COUNT; kind++) {
            struct osr_part part = osr_part((enum osr_part_kind)kind, "x");
            MUST(osr_policy_allows(osr_policy_subject(access, OSR_WHO_ADMIN), (enum osr_action)i,
                                   part));
            MUST(!osr_policy_allows(osr_policy_subject(access, ""), (enum osr_action)i, part));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_config config = {0};
    struct osr_err err = {0};
    int code = osr_config_file_parse("f.yaml", osr_slice(data, size), &config, &err);

    MUST(code == 0 || (code == OSR_CONFIG && err.code == OSR_CONFIG));
    MUST(code == 0 || strncmp(err.message, "f.yaml:", strlen("f.yaml:")) == 0);
    must_be_within_limits(&config);
    if (config.access != NULL) {
        must_keep_its_administrator(config.access);
    }
    osr_config_done(&config);
    return 0;
}

#!/bin/sh
# embed.sh FILE HEADER FUNCTION -- prints C source: the function, declared in the header, that
# gives the file's bytes as a slice.
set -eu
cat <<END
#include "$2"

static const uint8_t bytes[] = {
$(od -A n -v -t u1 "$1" | sed 's/ *\([0-9]\{1,\}\)/\1,/g')
};

struct osr_slice $3(void)
{
    return osr_slice(bytes, sizeof(bytes));
}
END

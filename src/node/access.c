#include "node/access.h"

#include <assert.h>

#define MAY(permission) (1u << OSR_MAY_##permission)

static const struct {
    const char *name;
    unsigned may; /* bits of enum osr_permission */
} roles[] = {
    [OSR_ROLE_STRANGER] = {"another user of this machine", 0},
    [OSR_ROLE_ADMIN] = {"the administrator",
                        MAY(LINK) | MAY(READ) | MAY(WRITE) | MAY(OBSERVE) | MAY(OPERATE)},
    [OSR_ROLE_LOCAL] = {"a program of this machine",
                        MAY(LINK) | MAY(READ) | MAY(WRITE) | MAY(OBSERVE)},
    [OSR_ROLE_REMOTE] = {"a program of another machine", MAY(LINK)},
    [OSR_ROLE_SEED] = {"a seed program", MAY(APPEND)},
    [OSR_ROLE_PEER] = {"a peer", MAY(LINK)},
};
_Static_assert(sizeof(roles) / sizeof(roles[0]) == OSR_ROLE_COUNT, "a row for each role");

/* What a caller who is refused can do about it. */
static const char *const remedies[] = {
    [OSR_MAY_LINK] = "seed programs send UPDATE_KB alone",
    [OSR_MAY_APPEND] = "give the message a request_id, or listen with ?peer=seed",
    [OSR_MAY_READ] = "ask on the machine of the instance",
    [OSR_MAY_WRITE] = "ask on the machine of the instance",
    [OSR_MAY_OBSERVE] = "ask on the machine of the instance",
    [OSR_MAY_OPERATE] = "use the socket in the data folder, as the user of osirisd or as root",
};
_Static_assert(sizeof(remedies) / sizeof(remedies[0]) == OSR_MAY_COUNT,
               "a remedy for each permission");

int osr_access_check(enum osr_role role, enum osr_permission permission, const char *what,
                     struct osr_err *err)
{
    assert(role < OSR_ROLE_COUNT && permission < OSR_MAY_COUNT);
    if ((roles[role].may & 1u << permission) != 0) {
        return 0;
    }
    osr_err_set(err, OSR_PERMISSION_DENIED, "%s may not use %s", roles[role].name, what);
    osr_err_hint(err, "%s", remedies[permission]);
    return OSR_PERMISSION_DENIED;
}

const char *osr_role_name(enum osr_role role)
{
    assert(role < OSR_ROLE_COUNT);
    return roles[role].name;
}

#include "adapter/broker_login.h"

#include <unistd.h>

#include "adapter/authority.h"
#include "adapter/whole_file.h"

static int config_error(struct osr_err *err, const char *url)
{
    osr_err_prefix(err, "%s", url);
    err->code = OSR_CONFIG;
    return OSR_CONFIG;
}

static int read_password(const struct osr_url *url, const char *path, struct osr_buffer *password,
                         struct osr_err *err)
{
    int code =
        osr_file_read_secret(path, "password file", OSR_BROKER_PASSWORD_BYTES_MAX, password, err);
    if (code != 0) {
        if (err->hint[0] == '\0') {
            osr_err_hint(err,
                         "write the broker's password for %s into it, for its owner alone "
                         "(mode 600)",
                         url->user);
        }
        return config_error(err, url->text);
    }
    while (password->size > 0 && password->data[password->size - 1] == '\n') {
        password->size--;
    }
    osr_buffer_add(password, "", 1);
    return 0;
}

int osr_broker_login_read(const struct osr_url *url, struct osr_broker_login *ret_login,
                          struct osr_err *err)
{
    const char *password_file = osr_url_parameter(url, "password_file");
    struct osr_broker_login login = {
        .user = url->user[0] != '\0' ? url->user : NULL,
        .ca_file = osr_url_parameter(url, "ca_file"),
        .is_secure = osr_url_is_broker_secure(url),
    };
    if (password_file != NULL && login.user == NULL) {
        osr_err_set(err, OSR_CONFIG, "%s: a password without a user", url->text);
        osr_err_hint(err, "name the user before the broker: %s://USER@%s", url->scheme, url->host);
        return OSR_CONFIG;
    }
    if (login.ca_file != NULL && access(login.ca_file, R_OK) != 0) {
        osr_err_set(err, OSR_CONFIG, "%s: cannot read the broker's CA in %s", url->text,
                    login.ca_file);
        osr_err_hint(err, "give the path of a PEM file, or leave ca_file out for the system's CAs");
        return OSR_CONFIG;
    }
    if (password_file != NULL) {
        int code = read_password(url, password_file, &login.password, err);
        if (code != 0) {
            return code;
        }
    }
    *ret_login = login;
    return 0;
}

void osr_broker_login_done(struct osr_broker_login *login)
{
    osr_secret_buffer_done(&login->password);
}

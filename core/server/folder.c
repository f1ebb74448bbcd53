/* mkdtemp() makes it with mode 0700 and a name that nobody can have guessed. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "server/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool make_in(char path[CT_FOLDER_PATH], const char *where) {
    int n = snprintf(path, CT_FOLDER_PATH, "%s/ctornado-%d-XXXXXX", where,
                     getpid());

    if (n < CT_FOLDER_PATH && mkdtemp(path)) return true;
    if (n >= CT_FOLDER_PATH) errno = ENAMETOOLONG;
    *path = 0;
    return false;
}

/* Another user could not reach what is in this one's $XDG_RUNTIME_DIR. */
static bool make(char path[CT_FOLDER_PATH], bool for_other) {
    const char *own = for_other ? NULL : getenv("XDG_RUNTIME_DIR");

    if (own && *own == '/' && make_in(path, own)) return true;
    if (geteuid() == 0 && make_in(path, "/run")) return true;
    return make_in(path, "/tmp");
}

bool ct_folder_make(char path[CT_FOLDER_PATH], const char *user) {
    const struct passwd *owner = *user ? getpwnam(user) : NULL;
    int error;

    if (!make(path, owner && owner->pw_uid != geteuid())) return false;
    if (!owner || chown(path, owner->pw_uid, (gid_t)-1) == 0) return true;
    error = errno;
    ct_folder_remove(path);
    *path = 0;
    errno = error;
    return false;
}

void ct_folder_remove(const char *path) {
    const struct dirent *entry;
    DIR *folder;
    int fd;

    if (!*path) return;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    folder = fd == -1 ? NULL : fdopendir(fd);
    while (folder && (entry = readdir(folder)))
        (void)unlinkat(fd, entry->d_name, 0); /* fails for . and .. */
    if (folder)
        closedir(folder);
    else if (fd != -1)
        close(fd);
    (void)rmdir(path);
}

/* The part of abi.h that sets up and looks at the server and the process. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "abi.h"

#include "base/mem.h"
#include "http/listener.h"
#include "http/preface.h"
#include "http/server.h"
#include "vm/vm.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t ms(double seconds) {
    if (seconds <= 0) return 1;
    return seconds > 4e6 ? 4000000000u : (uint32_t)(seconds * 1000);
}

static uint32_t whole(double value) {
    if (value <= 0) return 0;
    return value > 4e9 ? 4000000000u : (uint32_t)value;
}

static int set_option(ct_server_options *o, uint32_t option, double value) {
    switch (option) {
    case CT_OPTION_MAX_LINE_SIZE: o->wire.max_line_size = whole(value); break;
    case CT_OPTION_MAX_HEADER_SIZE:
        o->wire.max_header_size = whole(value);
        break;
    case CT_OPTION_MAX_FIELDS: o->wire.max_fields = whole(value); break;
    case CT_OPTION_MAX_BODY_SIZE: o->max_body_size = value; break;
    case CT_OPTION_BODY_BUFFER_SIZE: o->body_buffer_size = whole(value); break;
    case CT_OPTION_WRITE_BUFFER_SIZE:
        o->write_buffer_size = whole(value);
        break;
    case CT_OPTION_HEADER_TIMEOUT: o->header_timeout = ms(value); break;
    case CT_OPTION_BODY_TIMEOUT: o->body_timeout = ms(value); break;
    case CT_OPTION_BODY_MIN_RATE: o->body_min_rate = whole(value); break;
    case CT_OPTION_IDLE_TIMEOUT: o->idle_timeout = ms(value); break;
    case CT_OPTION_WRITE_TIMEOUT: o->write_timeout = ms(value); break;
    case CT_OPTION_WRITE_MIN_RATE: o->write_min_rate = whole(value); break;
    case CT_OPTION_HANDLER_TIMEOUT: o->handler_timeout = ms(value); break;
    case CT_OPTION_MAX_CONNECTIONS: o->max_connections = whole(value); break;
    case CT_OPTION_MAX_CONNECTIONS_PER_IP:
        o->max_connections_per_ip = whole(value);
        break;
    case CT_OPTION_MAX_KEEPALIVE_REQUESTS:
        o->max_keepalive_requests = whole(value);
        break;
    case CT_OPTION_BACKLOG: o->backlog = whole(value); break;
    case CT_OPTION_PROXY_PROTOCOL: o->proxy_protocol = value != 0; break;
    default: return CT_ERROR;
    }
    return CT_OK;
}

int ct_abi_option(ct_vm *vm, uint32_t option, double value) {
    if (option == CT_OPTION_STATIC_CODED_SIZE) { /* of all listeners */
        vm->server->files.coded_limit = whole(value);
        return CT_OK;
    }
    return set_option(&vm->server->options, option, value);
}

static ct_listener *listener_of(ct_vm *vm, uint32_t handle) {
    return ct_slots_get(&vm->server->listeners, handle);
}

int ct_abi_listen_option(ct_vm *vm, uint32_t listener, uint32_t option,
                         double value) {
    ct_listener *l = listener_of(vm, listener);

    if (!l) return CT_CLOSED;
    return set_option(ct_listener_options(l), option, value);
}

int ct_abi_listen_trust(ct_vm *vm, uint32_t listener, const char *networks,
                        uint32_t size) {
    ct_listener *l = listener_of(vm, listener);

    if (!l) return CT_CLOSED;
    return ct_preface_trust(l, networks, size) ? CT_OK : CT_ERROR;
}

int ct_abi_temp_dir(ct_vm *vm, const char *path) {
    ct_server_options *o = &vm->server->options;

    size_t n = strlen(path);

    if (n >= sizeof o->temp_dir) return CT_LIMIT;
    memcpy(o->temp_dir, path, n + 1);
    return CT_OK;
}

uint32_t ct_abi_listen(ct_vm *vm, const char *address) {
    return ct_listener_open(vm->server, vm->events, address, vm->why,
                            sizeof vm->why);
}

int ct_abi_listen_address(ct_vm *vm, uint32_t listener, ct_str *out) {
    ct_listener *l = listener_of(vm, listener);

    if (!l || !l->listen) return CT_CLOSED;
    ct_address_format(ct_listen_address(l->listen), vm->why);
    *out = (ct_str){ vm->why, (uint32_t)strlen(vm->why) };
    return CT_OK;
}

int ct_abi_listen_close(ct_vm *vm, uint32_t listener, int drop) {
    ct_listener *l = listener_of(vm, listener);

    if (!l || (l->closed && !drop)) return CT_CLOSED;
    ct_listener_close(l, drop);
    return CT_OK;
}

int ct_abi_listen_fade(ct_vm *vm, uint32_t listener) {
    ct_listener *l = listener_of(vm, listener);

    if (!l) return CT_CLOSED;
    ct_listener_fade(l);
    return CT_OK;
}

int ct_abi_listen_hold(ct_vm *vm, uint32_t listener, int hold) {
    ct_listener *l = listener_of(vm, listener);

    if (!l || !l->listen) return CT_CLOSED;
    ct_listen_hold(l->listen, hold);
    return CT_OK;
}

int ct_abi_listen_drain(ct_vm *vm, uint32_t listener, int heads) {
    ct_listener *l = listener_of(vm, listener);

    if (!l) return CT_CLOSED;
    return ct_listener_drain(l, heads) ? CT_OK : CT_AGAIN;
}

void ct_abi_exit(ct_vm *vm, int code) {
    vm->exiting = true;
    vm->exit_code = code;
}

void ct_abi_counts(ct_vm *vm, ct_counts *out) {
    const ct_server *s = vm->server;

    *out = (ct_counts){ .connections = s->conn_count,
                        .requests = s->requests.count,
                        .timers = vm->timers.count,
                        .listeners = s->listening + vm->acceptors.count,
                        .channels = vm->channels.count,
                        .handled = s->handled,
                        .unsent = ct_server_unsent(s),
                        .files = s->files.open,
                        .digests = vm->digests.count,
                        .resolves = vm->resolves.count,
                        .jobs = vm->jobs.count,
                        .processes = vm->processes.count,
                        .fetches = vm->fetches.count,
                        .pooled = ct_vm_client_descriptors(vm),
                        .websockets = vm->websockets.slots.count };
}

int ct_abi_file_kind(const char *path) {
    struct stat st;

    if (stat(path, &st) != 0) return 0;
    return S_ISDIR(st.st_mode) ? 1 : S_ISREG(st.st_mode) ? 2 : 0;
}

int ct_abi_file_same(const char *a, const char *b) {
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

int ct_abi_folder(ct_vm *vm, const char *path, char *out, uint32_t max) {
    const struct dirent *entry;
    uint32_t used = 0;
    DIR *dir = opendir(path);

    if (!dir) {
        snprintf(vm->why, sizeof vm->why, "%s: %m", path);
        return -1;
    }
    while ((entry = readdir(dir)) && used < INT32_MAX / 2) {
        uint32_t n = (uint32_t)strlen(entry->d_name) + 1;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (used + n <= max) memcpy(out + used, entry->d_name, n);
        used += n;
    }
    closedir(dir);
    return (int)used;
}

const char *ct_abi_here(ct_vm *vm) {
    return getcwd(vm->why, sizeof vm->why) ? vm->why : "";
}

int ct_abi_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    int n = -3; /* ".", ".." and the folder itself */

    if (!dir) return -1;
    while (readdir(dir)) n++;
    closedir(dir);
    return n;
}

/* The kernel's table of descriptors is made anew each time it has to double, for which
 * a process with threads waits until all CPUs have been elsewhere: 10 to 30 ms in an
 * accept4(). So that happens here, once. */
static void make_room(double expected, double most) {
    double last = (expected < most ? expected : most) - 1;
    int any = eventfd(0, EFD_CLOEXEC), high;

    if (any == -1) return;
    if (last > 0 && last < INT_MAX) {
        high = fcntl(any, F_DUPFD_CLOEXEC, (int)last);
        if (high != -1) close(high);
    }
    close(any);
}

static double limit_files(double count) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    limit.rlim_cur = count > 0 ? (rlim_t)count : limit.rlim_max;
    if (limit.rlim_cur > limit.rlim_max) {
        const struct rlimit more = { limit.rlim_cur, limit.rlim_cur };

        if (setrlimit(RLIMIT_NOFILE, &more) == 0) return count;
        limit.rlim_cur = limit.rlim_max;
    }
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* what there is, is returned */
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return (double)limit.rlim_cur;
}

double ct_abi_open_files(double count, double expected) {
    double most = limit_files(count);

    make_room(expected, most);
    return most;
}

/* 1 is less than any dump, and the one limit that holds for dumps through a pipe, too
 * (kernel, fs/coredump.c). The process stays dumpable for a debugger of its user. */
void ct_abi_core_dumps(ct_vm *vm, int allowed) {
    struct rlimit limit;

    (void)vm;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
    limit.rlim_cur = allowed || limit.rlim_max == 0 ? limit.rlim_max : 1;
    (void)setrlimit(RLIMIT_CORE, &limit);
}

void ct_abi_confine(ct_vm *vm, int no_new_privs) {
    (void)vm;
    (void)umask(umask(S_IRWXO | S_IWGRP) | S_IRWXO | S_IWGRP);
    if (no_new_privs) (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Log lines: their form, what is escaped, where they are cut, and what happens
 * when nobody reads the pipe or the disk is full. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/mem.h"
#include "check.h"
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PREFIX = sizeof "[I 261122 10:15:00 app] " - 1, MOST = 200000 };

static char text[MOST];
static int ends[2];

/* A log to a pipe that we read. */
static ct_log piped(void) {
    ct_log log;

    ct_log_init(&log);
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    log.fd = ends[1];
    log.color = log.file = false;
    return log;
}

static void close_pipe(ct_log *log) {
    close(ends[0]);
    ct_log_fini(log); /* the other end */
}

/* All that is in the pipe; "" when nothing is. */
static char *written(void) {
    size_t n = 0;

    for (ssize_t got; n < MOST - 1; n += (size_t)got)
        if ((got = read(ends[0], text + n, MOST - 1 - n)) <= 0) break;
    text[n] = 0;
    return text;
}

static bool matches(const char *s, const char *pattern) {
    regex_t r;
    bool ok;

    if (regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB) != 0) return false;
    ok = regexec(&r, s, 0, NULL, 0) == 0;
    regfree(&r);
    return ok;
}

/* The message of the line that `s` makes, without its prefix. */
static const char *message(const char *s, size_t n, bool lines) {
    ct_log log = piped();
    const char *line;

    ct_log_text(&log, CT_LEVEL_INFO, "app", s, n, lines);
    line = written();
    close_pipe(&log);
    return strlen(line) < PREFIX ? line : line + PREFIX;
}

static void test_form(void) {
    ct_log log = piped();

    ct_log_line(&log, CT_LEVEL_INFO, "http", "%d and %s", 42, "more");
    CHECK(
        matches(written(), "^\\[I [0-9]{6} [0-9:]{8} http\\] 42 and more\n$"));
    ct_log_line(&log, CT_LEVEL_WARNING, "x", "w");
    CHECK(text[0] && strncmp(written(), "[W ", 3) == 0);
    ct_log_line(&log, CT_LEVEL_ERROR, "x", "e");
    CHECK(strncmp(written(), "[E ", 3) == 0);
    log.color = true;
    ct_log_line(&log, CT_LEVEL_ERROR, "x", "e");
    CHECK(matches(written(), "^\x1b\\[31m\\[E [^]]*\\]\x1b\\[0m e\n$"));
    close_pipe(&log);
}

static void test_levels(void) {
    ct_log log = piped();
    ct_log_level level;

    ct_log_line(&log, CT_LEVEL_DEBUG, "x", "below");
    CHECK_STR(written(), "");
    log.level = CT_LEVEL_DEBUG;
    ct_log_line(&log, CT_LEVEL_DEBUG, "x", "now");
    CHECK(strncmp(written(), "[D ", 3) == 0);
    log.level = CT_LEVEL_NONE;
    ct_log_line(&log, CT_LEVEL_ERROR, "x", "none");
    CHECK_STR(written(), "");
    CHECK(ct_log_level_named("warning", &level) && level == CT_LEVEL_WARNING);
    CHECK(ct_log_level_named("none", &level) && level == CT_LEVEL_NONE);
    CHECK(!ct_log_level_named("Warning", &level));
    close_pipe(&log);
}

static void test_escapes(void) {
    CHECK_STR(message("a\tb", 3, false), "a\tb\n");
    CHECK_STR(message("a\r\n[E forged", 12, false), "a\\x0d\\n[E forged\n");
    CHECK_STR(message("\x1b[2J\0\x7f", 6, false), "\\x1b[2J\\x00\\x7f\n");
    CHECK_STR(message("gr\xc3\xbc\xc3\x9f", 6, false), "gr\xc3\xbc\xc3\x9f\n");
    CHECK_STR(message("\xc3\xbc\xff", 3, false), "\\xc3\\xbc\\xff\n");
    CHECK_STR(message("\xc2\x9b", 2, false), "\\xc2\\x9b\n"); /* C1: CSI */
    CHECK_STR(message("one\ntwo\n", 8, true), "one\n    two\n");
    CHECK_STR(message("", 0, false), "\n");
}

static void test_cut(void) {
    char *s = ct_alloc(2 * CT_LOG_LINE);
    ct_log log = piped();

    memset(s, 1, 2 * CT_LOG_LINE);
    ct_log_text(&log, CT_LEVEL_INFO, "app", s, 2 * CT_LOG_LINE, false);
    size_t n = strlen(written());
    CHECK(n <= CT_LOG_LINE && n > CT_LOG_LINE - 4);
    CHECK(n && text[n - 1] == '\n');
    CHECK(strcmp(text + n - 5, "\\x01\n") == 0); /* an escape stays whole */
    memset(s, 'x', 2 * CT_LOG_LINE);
    ct_log_line(&log, CT_LEVEL_INFO, "app", "%.*s", 2 * CT_LOG_LINE, s);
    n = strlen(written());
    CHECK(n == CT_LOG_LINE && text[n - 1] == '\n');
    close_pipe(&log);
    ct_free(s);
}

/* The line that a message makes as JSON. */
static const char *object(const char *id, const char *trace, const char *s,
                          size_t n) {
    ct_log log = piped();
    const char *line;

    log.json = true;
    log.color = true; /* is for text */
    ct_log_request(&log, CT_LEVEL_ERROR, &(ct_log_about){ "app", id, trace }, s,
                   n);
    line = written();
    close_pipe(&log);
    return line;
}

static bool says(const char *s, size_t n, const char *json) {
    const char *at = strstr(object("", "", s, n), "\"message\":");

    return at && strncmp(at + 10, json, strlen(json)) == 0 &&
           strcmp(at + 10 + strlen(json), "}\n") == 0;
}

static void test_json(void) {
    CHECK(matches(
        object("", "", "x", 1),
        "^\\{\"time\":\"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z\","
        "\"level\":\"error\",\"logger\":\"app\",\"message\":\"x\"\\}\n$"));
    CHECK(strstr(
        object("f00", "4bf9\"", "x", 1),
        "\"request\":\"f00\",\"trace\":\"4bf9\\\"\",\"message\":\"x\"}"));
    CHECK(strstr(object("a\"b\n", "", "x", 1),
                 "\"app\",\"request\":\"a\\\"b\\n\",\"message\":\"x\"}"));
    CHECK(says("two\nlines\n\n", 11, "\"two\\nlines\""));
    CHECK(says("\"\\/\t", 4, "\"\\\"\\\\/\\t\""));
    CHECK(says("\0\x1b[\r\x7f", 5, "\"\\u0000\\u001b[\\u000d\\u007f\""));
    CHECK(says("\xc3\xa9\xc2\x9b", 4, "\"\xc3\xa9\\u009b\""));
    CHECK(says("\xe9!", 2, "\"\\\\xe9!\""));
    CHECK(says("", 0, "\"\""));
}

static void test_json_cut(void) {
    char *s = ct_alloc(2 * CT_LOG_LINE);

    memset(s, '"', 2 * CT_LOG_LINE);
    size_t n = strlen(object("", "", s, 2 * CT_LOG_LINE));
    CHECK(n <= CT_LOG_LINE && n > CT_LOG_LINE - 4);
    CHECK(n > 4 && strcmp(text + n - 5, "\\\"\"}\n") == 0);
    ct_free(s);
}

static void test_request(void) {
    ct_log log = piped();

    ct_log_request(&log, CT_LEVEL_ERROR,
                   &(ct_log_about){ "app", "f00\x1b", "no" }, "one\ntwo", 7);
    CHECK(matches(written(), "^\\[E [0-9]{6} [0-9:]{8} app f00.x1b\\] one\n"
                             "    two\n$"));
    ct_log_request(&log, CT_LEVEL_DEBUG, &(ct_log_about){ "app", "f00", "" },
                   "below", 5);
    CHECK_STR(written(), "");
    close_pipe(&log);
}

/* Nobody reads: nothing blocks, lines are dropped whole, and counted. */
static void test_stalled_pipe(void) {
    ct_log log = piped();
    unsigned sent = 0, got = 0;

    CHECK(fcntl(ends[1], F_SETPIPE_SZ, 65536) > 0);
    for (; sent < 5000; sent++)
        ct_log_line(&log, CT_LEVEL_INFO, "app", "line %u of many", sent);
    CHECK(log.dropped > 0);
    unsigned dropped = log.dropped;
    for (char *p = written(); (p = strchr(p, '\n')); p++) got++;
    CHECK(got + dropped == sent);

    char want[80];
    snprintf(want, sizeof want, "log\\] %u log lines lost: .*\n.* again\n$",
             dropped);
    ct_log_line(&log, CT_LEVEL_INFO, "app", "again");
    CHECK(matches(written(), want));
    CHECK(log.dropped == 0);
    close_pipe(&log);
}

/* A batch larger than the pipe: whole lines, then the rest is counted. */
static void test_stalled_batch(void) {
    enum { LINE = 100, LINES = 1500 };
    char *batch = ct_alloc(LINE * LINES);
    ct_log log = piped();

    CHECK(fcntl(ends[1], F_SETPIPE_SZ, 65536) > 0);
    memset(batch, 'x', LINE * LINES);
    for (int i = 1; i <= LINES; i++) batch[i * LINE - 1] = '\n';
    ct_log_raw(&log, "access", batch, LINE * LINES);
    size_t n = strlen(written());
    CHECK(n > 0 && n % LINE == 0);
    CHECK(log.dropped == LINES - n / LINE);
    CHECK(!log.torn);
    ct_log_raw(&log, "access", "whole\n", 6);
    CHECK_STR(written(), "whole\n"); /* no notice among the access log's */
    ct_log_raw(&log, "access", "", 0);
    CHECK_STR(written(), "");
    close_pipe(&log);
    ct_free(batch);
}

/* What was cut in a line is ended before the next one. */
static void test_torn_line(void) {
    ct_log log = piped();
    char *s = ct_alloc(70000);

    CHECK(fcntl(ends[1], F_SETPIPE_SZ, 65536) > 0);
    memset(s, 'x', 70000);
    s[69999] = '\n';
    ct_log_raw(&log, "access", s, 70000);
    CHECK(log.torn && log.dropped == 1);
    CHECK(strlen(written()) == 65536);
    ct_log_raw(&log, "access", "next\n", 5);
    CHECK_STR(written(), "\nnext\n");
    CHECK(!log.torn);
    close_pipe(&log);
    ct_free(s);
}

/* -- The journal ----------------------------------------------------------- */

/* A log whose stderr is the journal, as $JOURNAL_STREAM says. */
static void test_journal_stream(void) {
    ct_log log = piped();
    char name[64];
    struct stat st;

    CHECK(fstat(ends[1], &st) == 0);
    snprintf(name, sizeof name, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    CHECK(!ct_journal_is_stream(ends[1]));
    CHECK(setenv("JOURNAL_STREAM", name, 1) == 0);
    CHECK(ct_journal_is_stream(ends[1]) && !ct_journal_is_stream(ends[0] + 99));
    CHECK(!ct_journal_is_stream(STDIN_FILENO));
    log.stream = ct_journal_is_stream(ends[1]);
    CHECK(unsetenv("JOURNAL_STREAM") == 0);
    ct_log_request(&log, CT_LEVEL_ERROR, &(ct_log_about){ "app", "f00", "" },
                   "one\ntwo\x1b", 8);
    CHECK_STR(written(), "<3>[app f00] one\n<3>    two\\x1b\n");
    ct_log_line(&log, CT_LEVEL_INFO, "http", "%s", "a\nb");
    CHECK_STR(written(), "<6>[http] a\\nb\n");
    log.json = true;
    ct_log_line(&log, CT_LEVEL_WARNING, "http", "x");
    CHECK(matches(written(), "^<4>\\{\"time\":.*\\}\n$"));
    close_pipe(&log);
}

static int journal_socket(const char *path) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(at.sun_path, path);
    CHECK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    return fd;
}

/* The next entry, with the eight bytes of the message's size as "#N#". */
static const char *entry(int fd) {
    ssize_t n = recv(fd, text, MOST - 1, 0);
    char *at, size[32];
    uint64_t length;

    if (n < 0) return "";
    text[n] = 0;
    at = strstr(text, "\nMESSAGE\n");
    if (!at) return text;
    at += 9;
    memcpy(&length, at, sizeof length);
    snprintf(size, sizeof size, "#%u#", (unsigned)le64toh(length));
    memmove(at + strlen(size), at + 8, (size_t)(text + n - at) - 7);
    memcpy(at, size, strlen(size));
    return text;
}

static void test_journal(void) {
    static const ct_log_about about = { "app", "f00\nPRIORITY=0", "4bf9" };
    char dir[] = "/tmp/test_log.XXXXXX", path[64], name[80];
    ct_log log;
    int fd;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/socket", dir);
    snprintf(name, sizeof name, "journal:%s", path);
    ct_log_init(&log);
    CHECK(!ct_log_open(&log, name) && errno == ENOENT);
    CHECK(!log.journal && log.fd == STDERR_FILENO);
    fd = journal_socket(path);
    CHECK(ct_log_open(&log, name) && log.journal);
    ct_log_request(&log, CT_LEVEL_ERROR, &about, "one\ntwo\x1b\n\n", 10);
    CHECK_STR(entry(fd),
              "SYSLOG_IDENTIFIER=ctornado\nPRIORITY=3\nLOGGER=app\n"
              "REQUEST_ID=f00\nTRACE_ID=4bf9\nMESSAGE\n#11#one\ntwo\\x1b\n");
    ct_log_line(&log, CT_LEVEL_INFO, "http", "a\nb");
    CHECK_STR(entry(fd), "SYSLOG_IDENTIFIER=ctornado\nPRIORITY=6\nLOGGER=http\n"
                         "MESSAGE\n#4#a\\nb\n");
    CHECK(ct_log_raw(&log, "access", "one\ntwo\n", 8));
    CHECK_STR(entry(fd), "SYSLOG_IDENTIFIER=ctornado\nPRIORITY=6\n"
                         "LOGGER=access\nMESSAGE\n#3#one\n");
    CHECK(strstr(entry(fd), "MESSAGE\n#3#two\n"));
    close(fd); /* the journal is gone, and comes back */
    unlink(path);
    ct_log_line(&log, CT_LEVEL_INFO, "http", "lost");
    CHECK(log.dropped == 1);
    CHECK(!ct_log_raw(&log, "access", "a\nb\nc\n", 6) && log.dropped == 4);
    fd = journal_socket(path);
    ct_log_line(&log, CT_LEVEL_INFO, "http", "again");
    CHECK(strstr(entry(fd), "LOGGER=log\nMESSAGE\n#46#4 log lines lost"));
    CHECK(strstr(entry(fd), "MESSAGE\n#5#again\n"));
    CHECK(log.dropped == 0);
    ct_log_fini(&log);
    CHECK(!log.journal);
    close(fd);
    unlink(path);
    rmdir(dir);
}

/* A journal that does not read: nothing waits, and what is lost is counted. */
static void test_stalled_journal(void) {
    enum { LINES = 5000 };
    char dir[] = "/tmp/test_log.XXXXXX", name[80], *batch = ct_alloc(2 * LINES);
    unsigned got = 0;
    ct_log log;
    int fd;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(name, sizeof name, "journal:%s/socket", dir);
    fd = journal_socket(name + 8);
    ct_log_init(&log);
    CHECK(ct_log_open(&log, name));
    for (int i = 0; i < LINES; i++) memcpy(batch + 2 * i, "x\n", 2);
    CHECK(!ct_log_raw(&log, "access", batch, 2 * LINES) && errno == EAGAIN);
    while (*entry(fd)) got++;
    CHECK(got > 0 && got + log.dropped == LINES);
    ct_log_fini(&log);
    close(fd);
    unlink(name + 8);
    rmdir(dir);
    ct_free(batch);
}

static void test_full_disk(void) {
    ct_log log;

    ct_log_init(&log);
    if (!CHECK(ct_log_open(&log, "/dev/full"))) return;
    ct_log_line(&log, CT_LEVEL_INFO, "app", "lost");
    ct_log_line(&log, CT_LEVEL_INFO, "app", "lost");
    CHECK(log.dropped == 2);
    ct_log_fini(&log);
    CHECK(log.fd == STDERR_FILENO);
}

static void test_file(void) {
    char dir[] = "/tmp/test_log.XXXXXX", path[64], other[64];
    struct stat st;
    ct_log log;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/log", dir);
    snprintf(other, sizeof other, "%s/log.1", dir);
    ct_log_init(&log);
    CHECK(ct_log_open(&log, path));
    CHECK(log.file && !log.color);
    ct_log_raw(&log, "access", "one\n", 4);
    CHECK(rename(path, other) == 0); /* rotation */
    ct_log_raw(&log, "access", "two\n", 4);
    CHECK(ct_log_open(&log, path));
    ct_log_raw(&log, "access", "three\n", 6);
    CHECK(stat(other, &st) == 0 && st.st_size == 8);
    CHECK((st.st_mode & 07137) == 0); /* 0640 less the umask */
    CHECK(stat(path, &st) == 0 && st.st_size == 6);
    int fd = log.fd;
    CHECK(!ct_log_open(&log, "/nonexistent/log") && errno == ENOENT);
    CHECK(log.fd == fd);
    CHECK(ct_log_open(&log, "stderr") && log.fd == STDERR_FILENO);
    CHECK(fcntl(fd, F_GETFD) == -1); /* closed */
    unlink(path);
    unlink(other);
    rmdir(dir);
}

static void expect_file(const char *dir, const char *name, const char *want) {
    char path[64], got[64] = "";
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK((fd == -1) == (want == NULL));
    if (fd == -1) return;
    CHECK(read(fd, got, sizeof got - 1) >= 0);
    CHECK_STR(got, want);
    close(fd);
    unlink(path);
}

/* Two logs of one file, as of two processes. */
static void test_rotation(void) {
    char dir[] = "/tmp/ct_log_XXXXXX";
    char path[64];
    ct_log a, b;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/log", dir);
    ct_log_init(&a);
    ct_log_init(&b);
    CHECK(ct_log_open_rotated(&a, path, 10, 2));
    CHECK(ct_log_open_rotated(&b, path, 10, 2));
    ct_log_raw(&a, "access", "one\ntwo\n", 8);
    ct_log_raw(&a, "access", "3\n", 2); /* full to the byte */
    ct_log_raw(&a, "access", "four\n", 5);
    ct_log_raw(&b, "access", "five\n", 5); /* into the new one */
    ct_log_raw(&b, "access", "longer than all\n", 16);
    ct_log_raw(&a, "access", "7\n", 2);
    ct_log_raw(&b, "access", "eight\n", 6);
    expect_file(dir, "log", "7\neight\n");
    expect_file(dir, "log.1", "longer than all\n");
    expect_file(dir, "log.2", "four\nfive\n");
    expect_file(dir, "log.3", NULL);
    CHECK(ct_log_open_rotated(&a, path, 10, 0)); /* none is kept: no rotation */
    ct_log_raw(&a, "access", "longer than all\n", 16);
    ct_log_raw(&a, "access", "x\n", 2);
    ct_log_fini(&a);
    ct_log_fini(&b);
    expect_file(dir, "log", "longer than all\nx\n");
    CHECK(rmdir(dir) == 0);
}

int main(void) {
    test_form();
    test_levels();
    test_escapes();
    test_cut();
    test_json();
    test_json_cut();
    test_request();
    test_stalled_pipe();
    test_stalled_batch();
    test_torn_line();
    test_journal_stream();
    test_journal();
    test_stalled_journal();
    test_full_disk();
    test_file();
    test_rotation();
    return check_report();
}

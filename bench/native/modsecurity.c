/* Judges messages with libmodsecurity, as the detection benchmark's counterpart.
 *
 * Usage: modsecurity RULES-FILE
 * In:  a line "LENGTH\n" and that many bytes of a JSON body, again and again.
 * Out: a line for each: CPU nanoseconds, a tab, and the ids of the rules that were logged, each behind a space, in their order. With
 *      MODSECURITY_SHOW set the whole log lines follow, each behind a tab.
 */
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY_LIMIT (16u << 20)

static char *ids;
static size_t ids_length, ids_room;
static int show;

static void keep(const char *text, size_t length)
{
    if (ids_length + length + 1 > ids_room) {
        ids_room = (ids_length + length + 1) * 2;
        ids = realloc(ids, ids_room);
        if (ids == NULL)
            exit(3);
    }
    memcpy(ids + ids_length, text, length);
    ids_length += length;
    ids[ids_length] = 0;
}

static void logged(void *unused, const void *line)
{
    (void)unused;
    const char *text = line;
    const char *mark = strstr(text, "[id \"");
    if (mark == NULL)
        return;
    mark += 5;
    size_t length = strcspn(mark, "\"");
    keep(" ", 1);
    keep(mark, length);
    if (show) {
        keep("\t", 1);
        keep(text, strcspn(text, "\n"));
    }
}

static long long cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int count, char **words)
{
    if (count != 2) {
        fprintf(stderr, "usage: modsecurity RULES-FILE\n");
        return 2;
    }
    show = getenv("MODSECURITY_SHOW") != NULL;
    ModSecurity *engine = msc_init();
    msc_set_connector_info(engine, "sockwarden-bench");
    msc_set_log_cb(engine, logged);
    RulesSet *rules = msc_create_rules_set();
    const char *error = NULL;
    if (msc_rules_add_file(rules, words[1], &error) < 0) {
        fprintf(stderr, "%s\n", error ? error : "the rules cannot be read");
        return 1;
    }
    static char body[BODY_LIMIT];
    char number[32];
    keep("", 0);
    while (fgets(number, sizeof number, stdin) != NULL) {
        size_t length = strtoul(number, NULL, 10);
        if (length > BODY_LIMIT || fread(body, 1, length, stdin) != length)
            return 1;
        char size[32];
        snprintf(size, sizeof size, "%zu", length);
        ids_length = 0;
        ids[0] = 0;
        long long began = cpu();
        Transaction *one = msc_new_transaction(engine, rules, NULL);
        msc_process_connection(one, "127.0.0.1", 40000, "127.0.0.1", 80);
        msc_process_uri(one, "/socket", "POST", "1.1");
        msc_add_request_header(one, (const unsigned char *)"Host", (const unsigned char *)"app.example");
        msc_add_request_header(one, (const unsigned char *)"User-Agent", (const unsigned char *)"Mozilla/5.0");
        msc_add_request_header(one, (const unsigned char *)"Accept", (const unsigned char *)"*/*");
        msc_add_request_header(one, (const unsigned char *)"Content-Type", (const unsigned char *)"application/json");
        msc_add_request_header(one, (const unsigned char *)"Content-Length", (const unsigned char *)size);
        msc_process_request_headers(one);
        msc_append_request_body(one, (const unsigned char *)body, length);
        msc_process_request_body(one);
        msc_process_logging(one);
        msc_transaction_cleanup(one);
        long long spent = cpu() - began;
        printf("%lld\t%s\n", spent, ids);
        fflush(stdout);
    }
    msc_rules_cleanup(rules);
    msc_cleanup(engine);
    return 0;
}

// dnsload: keeps a name server busy and counts what it answers. One thread, recvmmsg and sendmmsg, no dependencies but libc.
//
//   dnsload udp --to A:P --queries FILE --outstanding N --secs S [--warm W] [--rate R] [--watch PID,…]
//   dnsload tcp --to A:P --queries FILE --conns C --outstanding N --secs S [--warm W] [--watch PID,…]
//
// FILE has a line a query: NAME TYPE. Closed loop: an answer is followed by the next question; one that has not come after
// half a second counts as lost and its place is used again. --rate: open loop, so many a second. --watch sums the CPU time of all threads of these processes over
// exactly the counted window (/proc/PID/task/*/schedstat). One JSON object on stdout.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kBatch = 32, kIds = 65536, kMaxQuery = 300, kLostNs = 500000000 };

static void die(const char *what) { perror(what); exit(1); }
static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}
static const char *opt(int argc, char **argv, const char *name, const char *dflt) {
  for (int i = 2; i + 1 < argc; i++) if (!strcmp(argv[i], name)) return argv[i + 1];
  return dflt;
}

// ---- queries: built once
static struct query { uint16_t bytes; uint8_t wire[kMaxQuery]; } *queries;
static size_t query_count;

static void read_queries(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) die(path);
  char name[256], type[16];
  size_t room = 0;
  while (fscanf(file, "%255s %15s", name, type) == 2) {
    if (query_count == room) queries = realloc(queries, (room = room ? room * 2 : 4096) * sizeof *queries);
    struct query *q = &queries[query_count++];
    uint8_t head[12] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    int edns = type[0] == '+';  // "+A": with EDNS
    head[11] = (uint8_t)edns;
    memcpy(q->wire, head, 12);
    uint8_t *at = q->wire + 12;
    for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
      size_t n = strlen(label);
      *at++ = (uint8_t)n;
      memcpy(at, label, n);
      at += n;
    }
    *at++ = 0;
    int code = strstr(type, "SRV") ? 33 : strstr(type, "AAAA") ? 28 : 1;
    *at++ = 0; *at++ = (uint8_t)code; *at++ = 0; *at++ = 1;
    if (edns) {
      static const uint8_t opt_record[11] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
      memcpy(at, opt_record, 11);
      at += 11;
    }
    q->bytes = (uint16_t)(at - q->wire);
  }
  fclose(file);
  if (!query_count) { fprintf(stderr, "%s: no queries\n", path); exit(1); }
}

// ---- CPU of the watched process
static uint64_t cpu_ns(const char *pids) {
  if (!*pids) return 0;
  char path[300], pid[16];
  snprintf(pid, sizeof pid, "%.*s", (int)strcspn(pids, ","), pids);
  snprintf(path, sizeof path, "/proc/%s/task", pid);
  DIR *dir = opendir(path);
  if (!dir) die(path);
  uint64_t sum = 0;
  for (struct dirent *e; (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, e->d_name);
    FILE *f = fopen(path, "r");
    unsigned long long ns;
    if (f && fscanf(f, "%llu", &ns) == 1) sum += ns;
    if (f) fclose(f);
  }
  closedir(dir);
  return sum + (strchr(pids, ',') ? cpu_ns(strchr(pids, ',') + 1) : 0);
}

// ---- counting
static uint64_t answered, rcodes[16], truncated, lost, latency_ns[40];
static int latency_bucket(uint64_t ns) { int b = 0; while (ns > 1000 && b < 39) { ns = ns * 10 / 13; b++; } return b; }
static double percentile(double p) {
  uint64_t want = (uint64_t)((double)answered * p), seen = 0;
  double us = 1;
  for (int b = 0; b < 40; b++, us *= 1.3) { seen += latency_ns[b]; if (seen >= want) break; }
  return us;
}
static uint64_t sent_at[kIds];  // 0: the id is free
static void count(const uint8_t *answer, size_t bytes, uint64_t now) {
  if (bytes < 12) return;
  unsigned id = (unsigned)(answer[0] << 8 | answer[1]);
  if (!sent_at[id]) return;
  latency_ns[latency_bucket(now - sent_at[id])]++;
  sent_at[id] = 0;
  answered++;
  rcodes[answer[3] & 15]++;
  truncated += (answer[2] & 2) != 0;
}
static void start_counting(void) {
  answered = truncated = lost = 0;
  memset(rcodes, 0, sizeof rcodes);
  memset(latency_ns, 0, sizeof latency_ns);
}
static void report(double secs, uint64_t cpu) {
  printf("{\"qps\": %.0f, \"us\": %.3f, \"answered\": %llu, \"lost\": %llu, \"noerror\": %llu, \"nxdomain\": %llu, "
         "\"truncated\": %llu, \"p50_us\": %.0f, \"p99_us\": %.0f}\n", (double)answered / secs,
         answered ? (double)cpu / 1000 / (double)answered : 0, (unsigned long long)answered, (unsigned long long)lost,
         (unsigned long long)rcodes[0], (unsigned long long)rcodes[3], (unsigned long long)truncated, percentile(.5), percentile(.99));
}

static struct sockaddr_in addr_of(const char *text) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  char host[64];
  const char *colon = strrchr(text, ':');
  snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
  inet_pton(AF_INET, host, &a.sin_addr);
  a.sin_port = htons((uint16_t)atoi(colon + 1));
  return a;
}

static void udp(const struct sockaddr_in *to, unsigned outstanding, double rate, double warm, double secs, const char *pid) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (connect(fd, (const struct sockaddr *)to, sizeof *to)) die("connect");
  static uint8_t out[kBatch][kMaxQuery], in[kBatch][2048];
  struct mmsghdr so[kBatch] = {0}, si[kBatch] = {0};
  struct iovec vo[kBatch], vi[kBatch];
  for (int i = 0; i < kBatch; i++) {
    vo[i].iov_base = out[i]; so[i].msg_hdr.msg_iov = &vo[i]; so[i].msg_hdr.msg_iovlen = 1;
    vi[i] = (struct iovec){in[i], sizeof in[i]}; si[i].msg_hdr.msg_iov = &vi[i]; si[i].msg_hdr.msg_iovlen = 1;
  }
  size_t next = 0; unsigned id = 0, flying = 0, oldest = 0;
  uint64_t start = now_ns(), begin = start + (uint64_t)(warm * 1e9), end = begin + (uint64_t)(secs * 1e9), cpu = 0, now = start, sent = 0;
  int counting = 0;
  while ((now = now_ns()) < end) {
    if (!counting && now >= begin) { start_counting(); begin = now; cpu = cpu_ns(pid); counting = 1; }
    unsigned may = rate > 0 ? (unsigned)((double)(now - start) * rate / 1e9 - (double)sent) : outstanding - flying;
    unsigned n = may < kBatch ? may : kBatch;
    if (rate <= 0 && n < kBatch && flying > outstanding / 2) n = 0;  // in batches: half a window at a time
    for (unsigned i = 0; i < n; i++) {
      while (sent_at[id]) id = (id + 1) % kIds;
      struct query *q = &queries[next]; next = (next + 1) % query_count;
      memcpy(out[i], q->wire, q->bytes);
      out[i][0] = (uint8_t)(id >> 8); out[i][1] = (uint8_t)id;
      vo[i].iov_len = q->bytes;
      sent_at[id] = now; id = (id + 1) % kIds;
    }
    if (n) {
      int got = sendmmsg(fd, so, n, 0);
      if (got < 0) got = 0;
      for (unsigned i = (unsigned)got; i < n; i++) sent_at[(unsigned)(out[i][0] << 8 | out[i][1])] = 0;
      flying += (unsigned)got; sent += (unsigned)got;
    }
    int got = recvmmsg(fd, si, kBatch, MSG_DONTWAIT, NULL);
    if (got > 0) {
      uint64_t at = now_ns(), before = answered;
      for (int i = 0; i < got; i++) count(in[i], si[i].msg_len, at);
      flying -= (unsigned)(answered - before) < flying ? (unsigned)(answered - before) : flying;
    } else if (!n) {
      struct pollfd p = {fd, POLLIN, 0};
      struct timespec pause = {0, rate > 0 ? 20000 : 1000000};
      ppoll(&p, 1, &pause, NULL);
      for (unsigned i = 0; i < 512; i++, oldest = (oldest + 1) % kIds) {
        if (!sent_at[oldest] || now - sent_at[oldest] < kLostNs) continue;
        sent_at[oldest] = 0; lost++;
        if (flying) flying--;
      }
    }
  }
  cpu = cpu_ns(pid) - cpu;
  report((double)(now_ns() - begin) / 1e9, cpu);
}

static void tcp(const struct sockaddr_in *to, int conns, unsigned outstanding, double warm, double secs, const char *pid) {
  struct conn { int fd; size_t have; unsigned flying; uint8_t in[65536]; } *c = calloc((size_t)conns, sizeof *c);
  struct pollfd *p = calloc((size_t)conns, sizeof *p);
  for (int i = 0; i < conns; i++) {
    c[i].fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(c[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c[i].fd, (const struct sockaddr *)to, sizeof *to)) die("connect");
    p[i] = (struct pollfd){c[i].fd, POLLIN, 0};
  }
  size_t next = 0; unsigned id = 0;
  uint64_t start = now_ns(), begin = start + (uint64_t)(warm * 1e9), end = begin + (uint64_t)(secs * 1e9), cpu = 0, now;
  int counting = 0;
  while ((now = now_ns()) < end) {
    if (!counting && now >= begin) { start_counting(); begin = now; cpu = cpu_ns(pid); counting = 1; }
    for (int i = 0; i < conns; i++) {
      if (c[i].flying > outstanding / 2) continue;
      uint8_t out[16384]; size_t bytes = 0;
      while (c[i].flying < outstanding && bytes + kMaxQuery + 2 < sizeof out) {
        while (sent_at[id]) id = (id + 1) % kIds;
        struct query *q = &queries[next]; next = (next + 1) % query_count;
        out[bytes] = (uint8_t)(q->bytes >> 8); out[bytes + 1] = (uint8_t)q->bytes;
        memcpy(out + bytes + 2, q->wire, q->bytes);
        out[bytes + 2] = (uint8_t)(id >> 8); out[bytes + 3] = (uint8_t)id;
        sent_at[id] = now; id = (id + 1) % kIds;
        bytes += q->bytes + 2u; c[i].flying++;
      }
      if (send(c[i].fd, out, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) die("send");
    }
    poll(p, (nfds_t)conns, 10);
    uint64_t at = now_ns();
    for (int i = 0; i < conns; i++) {
      if (!(p[i].revents & (POLLIN | POLLHUP | POLLERR))) continue;
      ssize_t got = recv(c[i].fd, c[i].in + c[i].have, sizeof c[i].in - c[i].have, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN)) { fprintf(stderr, "a connection was closed\n"); exit(1); }
      if (got < 0) continue;
      c[i].have += (size_t)got;
      size_t off = 0;
      while (c[i].have - off >= 2) {
        size_t n = (size_t)(c[i].in[off] << 8 | c[i].in[off + 1]);
        if (c[i].have - off - 2 < n) break;
        count(c[i].in + off + 2, n, at);
        c[i].flying--;
        off += 2 + n;
      }
      memmove(c[i].in, c[i].in + off, c[i].have - off);
      c[i].have -= off;
    }
  }
  cpu = cpu_ns(pid) - cpu;
  report((double)(now_ns() - begin) / 1e9, cpu);
}

int main(int argc, char **argv) {
  if (argc < 2) { fprintf(stderr, "dnsload udp|tcp --to A:P --queries FILE …\n"); return 2; }
  read_queries(opt(argc, argv, "--queries", ""));
  struct sockaddr_in to = addr_of(opt(argc, argv, "--to", "127.0.0.1:53"));
  double warm = atof(opt(argc, argv, "--warm", "0.3")), secs = atof(opt(argc, argv, "--secs", "2"));
  unsigned outstanding = (unsigned)atoi(opt(argc, argv, "--outstanding", "256"));
  const char *pid = opt(argc, argv, "--watch", "");
  if (!strcmp(argv[1], "tcp")) tcp(&to, atoi(opt(argc, argv, "--conns", "20")), outstanding, warm, secs, pid);
  else udp(&to, outstanding, atof(opt(argc, argv, "--rate", "0")), warm, secs, pid);
  return 0;
}

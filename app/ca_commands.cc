// ca init|issue|renew: certificates for the connections between hosts (discovery.tls, lb.agents_tls).
#include <algorithm>
#include <ctime>
#include <filesystem>

#include "app/api_reply.h"
#include "app/commands.h"
#include "app/config_reader.h"
#include "app/table.h"
#include "app/whole_file.h"
#include "base/strings.h"
#include "base/tls/authority.h"

namespace fairlead::app {
namespace {

using tls::Authority;

constexpr mode_t kSecret = 0600;

struct CaOptions {
  std::string folder = "/etc/fairlead/ca";
  std::string name = "Fairlead";
  std::string host;
  std::vector<std::string> names;
  std::string life;
  std::string out = ".";
  bool consumer = false, force = false;
  std::vector<std::string> files;

  std::string certificate() const { return Cat(folder, "/ca.pem"); }
  std::string key() const { return Cat(folder, "/ca.key"); }
};

std::string Utc(Nanos wall) {
  const time_t seconds = wall / kSecond;
  tm parts = {};
  gmtime_r(&seconds, &parts);
  char text[32];
  return {text, strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts)};
}

StatusOr<Authority> Open(const CaOptions& options) {
  tls::PemPair files;
  for (const auto& [file, text] : {std::pair(options.certificate(), &files.certificate), {options.key(), &files.key}}) {
    ASSIGN_OR_RETURN(std::optional<std::string> read, ReadWhole(file));
    if (!read) return WithFix(NotFound("there is no ", file), Cat("on the host that issues certificates: fairlead ca init --dir ", options.folder));
    *text = *std::move(read);
  }
  StatusOr<Authority> authority = Authority::From(std::move(files));
  if (!authority.ok()) return WithContext(authority.status(), Cat(options.folder, ": "));
  return authority;
}

Status Init(Session& session, const CaOptions& options) {
  std::error_code none;
  for (const std::string& file : {options.certificate(), options.key()})
    if (std::filesystem::exists(file, none))
      return WithFix(AlreadyExists(file, " is there: a new authority would make void every certificate that was issued; nothing was changed"),
                     "name another folder by --dir, or remove it");
  ASSIGN_OR_RETURN(tls::PemPair made, Authority::Make(options.name, session.now_wall()));
  RETURN_IF_ERROR(WriteWhole(options.key(), made.key, kSecret));
  RETURN_IF_ERROR(WriteWhole(options.certificate(), made.certificate));
  session.out() << options.certificate() << ": for every host (discovery.tls.ca, lb.agents_tls.ca), until "
                << Utc(session.now_wall() + tls::kAuthorityLife) << "\n"
                << options.key() << ": whoever has it is trusted by all; it stays here\n";
  return OkStatus();
}

StatusOr<Nanos> Life(const std::string& text) {
  if (text.empty()) return tls::kCertificateLife;
  ASSIGN_OR_RETURN(Nanos life, ParseDuration(text));
  if (life < tls::kShortestCertificateLife || life > tls::kLongestCertificateLife)
    return InvalidArgument("--life ", text, ": from ", FormatDuration(tls::kShortestCertificateLife), " to ",
                           FormatDuration(tls::kLongestCertificateLife));
  return life;
}

// The key first: a certificate without its key would be taken for whole.
Status WritePair(const tls::PemPair& pair, const std::string& certificate, const std::string& key) {
  RETURN_IF_ERROR(WriteWhole(key, pair.key, kSecret));
  return WriteWhole(certificate, pair.certificate);
}

Status Issue(Session& session, const CaOptions& options) {
  std::vector<std::string> names = options.names;
  names.push_back(options.host);
  for (const std::string& name : names)
    if (!tls::IsHostName(name))
      return InvalidArgument("\"", Printable(name), "\" is no host name and no IP address");
  tls::CertificateRequest request{.who = {options.consumer ? tls::Role::kConsumer : tls::Role::kAgent, options.host}, .names = options.names};
  ASSIGN_OR_RETURN(request.life, Life(options.life));
  ASSIGN_OR_RETURN(Authority authority, Open(options));
  const std::string certificate = Cat(options.out, "/", options.host, ".pem"), key = Cat(options.out, "/", options.host, ".key");
  ASSIGN_OR_RETURN(tls::PemPair issued, authority.Issue(request, session.now_wall()));
  RETURN_IF_ERROR(WritePair(issued, certificate, key));
  ASSIGN_OR_RETURN(tls::CertificateFacts facts, authority.Read(issued.certificate, certificate));
  session.out() << certificate << ", " << key << ": " << tls::RoleName(facts.who.role) << " " << facts.who.name << ", as "
                << Join(facts.names, ", ") << ", until " << Utc(facts.until_wall) << "\n";
  return OkStatus();
}

std::string KeyBeside(const std::string& certificate) {
  return std::filesystem::path(certificate).replace_extension(".key").string();
}

Status Renew(Session& session, const CaOptions& options) {
  ASSIGN_OR_RETURN(Authority authority, Open(options));
  ASSIGN_OR_RETURN(Nanos life, Life(options.life));
  Table table({"CERTIFICATE", "OF", "UNTIL", "RENEWED"});
  for (const std::string& file : options.files) {
    ASSIGN_OR_RETURN(std::optional<std::string> text, ReadWhole(file));
    if (!text) return NotFound("there is no ", file);
    ASSIGN_OR_RETURN(tls::CertificateFacts facts, authority.Read(*text, file));
    const bool due = options.force || Authority::ShouldRenew(facts, session.now_wall());
    if (due) {
      if (options.life.empty()) life = std::max(facts.until_wall - facts.from_wall - tls::kClockSkew, tls::kShortestCertificateLife);
      ASSIGN_OR_RETURN(tls::PemPair issued, authority.Issue({.who = facts.who, .names = facts.names, .life = life}, session.now_wall()));
      RETURN_IF_ERROR(WritePair(issued, file, KeyBeside(file)));
      ASSIGN_OR_RETURN(facts, authority.Read(issued.certificate, file));
    }
    table.Add({file, Cat(tls::RoleName(facts.who.role), " ", facts.who.name), Utc(facts.until_wall), due ? "yes" : "not due"});
  }
  session.out() << table.ToString();
  return OkStatus();
}

CLI::App& Add(CommandTree& tree, CLI::App& ca, const char* verb, const char* about, Status (*run)(Session&, const CaOptions&),
              const std::shared_ptr<CaOptions>& options) {
  CLI::App& command = tree.Local(ca, verb, about, [options, run](Session& session) { return run(session, *options); });
  command.add_option("--dir", options->folder, "of the authority (default: /etc/fairlead/ca)")->type_name("FOLDER");
  return command;
}

}  // namespace

void AddCaCommands(CommandTree& tree) {
  auto options = std::make_shared<CaOptions>();
  CLI::App& ca = tree.Noun("ca", "certificates between hosts, by a small authority of your own");
  CLI::App& init = Add(tree, ca, "init", "make the authority, once for a fleet", Init, options);
  init.add_option("--name", options->name, "what people shall read in its certificate")->type_name("NAME");

  CLI::App& issue = Add(tree, ca, "issue", "make a host's key and certificate", Issue, options);
  issue.add_option("NODE", options->host, "the agent's node name (node.name), or a consumer's host")->required();
  issue.add_option("--name", options->names, "another name or address that it is reached at; may be repeated")->type_name("NAME")->allow_extra_args(false);
  issue.add_flag("--consumer", options->consumer, "for a balancer or another reader: it may write no row");
  issue.add_option("--life", options->life, "how long it holds (default: 168h)")->type_name("DURATION");
  issue.add_option("--out", options->out, "where NODE.pem and NODE.key go (default: here)")->type_name("FOLDER");

  CLI::App& renew = Add(tree, ca, "renew", "renew certificates in the last third of their life, with new keys", Renew, options);
  renew.add_option("FILE", options->files, "NODE.pem; its key is NODE.key beside it")->required();
  renew.add_option("--life", options->life, "how long they hold (default: as before)")->type_name("DURATION");
  renew.add_flag("--force", options->force, "also those that are not due");
}

}  // namespace fairlead::app

// HTTP/1.1 messages as the control plane uses them (API server, engine client, plugin sockets): whole, with owned
// strings. The data path works on base/http/head.h instead, in place and without allocation.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead::http {

struct Header {
  std::string name;   // as written; compared ignoring case
  std::string value;
};

struct Request {
  std::string method = "GET";
  std::string target = "/";           // origin-form: path and query as they stand on the wire
  std::vector<Header> headers = {};        // the writer adds Host, Content-Length and Connection
  std::string body = {};

  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // Value of a query parameter, percent-decoded; "" when absent.
  std::string query(std::string_view name) const;
  std::string_view header(std::string_view name) const;  // first of that name; "" when absent
};

struct Response {
  int status = 200;
  std::vector<Header> headers = {};
  std::string body = {};

  std::string_view header(std::string_view name) const;
};

std::string_view ReasonPhrase(int status);  // RFC 9110 §15 and RFC 6585; "" when unknown

}  // namespace fairlead::http

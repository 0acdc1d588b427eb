// `middlewares:` of the file and the references of its routes, in Traefik's words (discovery/middleware.h).
#pragma once

#include <string>
#include <vector>

#include "app/config_reader.h"
#include "discovery/middleware.h"

namespace fairlead::app {

// ID: {KIND: {OPTION: VALUE, …}}. What cannot be built is a fault; a definition is taken whole or not at all.
void ReadMiddleware(const std::string& id, ConfigReader& reader, std::vector<discovery::Middleware>& out,
                    std::vector<std::string>& warnings);

// `middlewares: [ID, ID@docker]` of a route, as "ID@file", "ID@docker".
void ReadReferences(ConfigReader& route, std::vector<std::string>& out);

// Faults of references to definitions of the file that it does not have, of chains among them.
std::vector<std::string> MissingMiddlewares(const std::vector<discovery::Middleware>& definitions,
                                            const std::vector<std::pair<std::string, std::vector<std::string>>>& routes);

}  // namespace fairlead::app

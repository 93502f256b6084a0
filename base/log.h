// SPDX-License-Identifier: Apache-2.0
// Structured logs: one JSON object a line on standard error. Never feature values or keys.
#ifndef FLETCH_BASE_LOG_H_
#define FLETCH_BASE_LOG_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace fletch {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogField = std::pair<std::string_view, std::string>;

// Thread-safe; one write(2) a line.
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

// Lines below `level` are dropped. DEFAULT: kInfo. Set once by main.
void SetLogLevel(LogLevel level);

}  // namespace fletch

#endif  // FLETCH_BASE_LOG_H_

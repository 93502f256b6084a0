// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sql_emitter.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "base/limits.h"
#include "base/strings.h"
#include "server/engine/sql_functions.h"

namespace fletch {
namespace {

// A longer chain of REALs is one call too, as SQLite's parser keeps a word open for each (.
constexpr size_t kMaxNativeChain = 4;

class Emitter {
 public:
  Emitter(absl::Span<const size_t> parameters, size_t column)
      : parameters_(parameters), column_(column) {}

  std::string Text(const SqlNode& node) const {
    switch (node.kind) {
      case SqlKind::kLiteral:
        return node.text[0] == '-' ? StrCat("(", node.text, ")") : node.text;
      case SqlKind::kBoolean:
        return node.text;
      case SqlKind::kName:
        return StrCat("?", parameters_[node.input]);
      case SqlKind::kUnary:
        return Unary(node);
      case SqlKind::kBinary:
        return Binary(node);
      case SqlKind::kIsNull:
        return StrCat("(", Child(node, 0), node.negated ? " IS NOT NULL)" : " IS NULL)");
      case SqlKind::kBetween:
        // The sign in front makes SQLite evaluate both comparisons, as a jump would not.
        return StrCat("+(", Child(node, 0), node.negated ? " NOT" : "", " BETWEEN ", Child(node, 1),
                      " AND ", Child(node, 2), ")");
      case SqlKind::kIn:
        return In(node);
      case SqlKind::kMatch:
        return Match(node);
      case SqlKind::kCase:
        return Case(node);
      case SqlKind::kCast:
        if (node.checked && node.type == SqlType::kInteger) return Checked("fletch_int", node);
        return StrCat("CAST(", Child(node, 0), " AS ", SqlTypeName(node.type), ")");
      case SqlKind::kCall:
        return Call(node);
    }
    return "";
  }

 private:
  std::string Child(const SqlNode& node, size_t i) const { return Text(*node.children[i]); }

  std::string Checked(std::string_view function, const SqlNode& node) const {
    return StrCat(function, "(", column_, ",", Child(node, 0), ")");
  }

  std::string Unary(const SqlNode& node) const {
    if (node.text == "-" && node.type != SqlType::kReal) return Checked("fletch_negative", node);
    return StrCat("(", node.text, " ", Child(node, 0), ")");
  }

  // The operators of the chain that ends at `node`, first to last, and its operands.
  struct Chain {
    std::vector<const SqlNode*> operators;
    std::vector<const SqlNode*> operands;
  };
  static Chain ChainOf(const SqlNode& node) {
    Chain chain;
    const SqlNode* at = &node;
    while (true) {
      chain.operators.push_back(at);
      chain.operands.push_back(at->children[1].get());
      if (at->chain == 1) break;
      at = at->children[0].get();
    }
    chain.operands.push_back(at->children[0].get());
    std::reverse(chain.operators.begin(), chain.operators.end());
    std::reverse(chain.operands.begin(), chain.operands.end());
    return chain;
  }

  std::string Join(absl::Span<const SqlNode* const> nodes, std::string_view between) const {
    std::string text;
    for (const SqlNode* node : nodes) {
      if (!text.empty()) text += between;
      text += Text(*node);
    }
    return text;
  }

  std::string Binary(const SqlNode& node) const {
    const Chain chain = ChainOf(node);
    if (node.text == "+" || node.text == "-" || node.text == "*" || node.text == "/") {
      return Arithmetic(node, chain);
    }
    if (node.checked && (node.text == "AND" || node.text == "OR")) {
      return StrCat(node.text == "AND" ? "fletch_and(" : "fletch_or(", Join(chain.operands, ","),
                    ")");
    }
    return StrCat("(", Join(chain.operands, StrCat(" ", node.text, " ")), ")");
  }

  std::string Arithmetic(const SqlNode& node, const Chain& chain) const {
    const bool checked =
        std::any_of(chain.operators.begin(), chain.operators.end(),
                    [](const SqlNode* one) { return one->type != SqlType::kReal; });
    if (!checked && chain.operators.size() <= kMaxNativeChain) {
      std::string text = Text(*chain.operands[0]);
      for (size_t i = 0; i < chain.operators.size(); ++i) {
        text = StrCat("(", text, " ", chain.operators[i]->text, " ", Text(*chain.operands[i + 1]),
                      ")");
      }
      return text;
    }
    std::string operators;
    for (const SqlNode* one : chain.operators) operators += one->text;
    return StrCat("fletch_fold(", column_, ",'", operators, "',", Join(chain.operands, ","), ")");
  }

  // Of constants SQLite would build a table for every row, ten times slower; so one of them is
  // made to look like no constant.
  std::string In(const SqlNode& node) const {
    std::string text = StrCat("(", Child(node, 0), node.negated ? " NOT IN (" : " IN (");
    bool disguised = node.children.size() <= 3;
    for (size_t i = 1; i < node.children.size(); ++i) {
      if (i > 1) text += ",";
      if (!disguised && node.children[i]->depth == 1) {
        disguised = true;
        text += StrCat("fletch_same(", Child(node, i), ")");
      } else {
        text += Child(node, i);
      }
    }
    return text + "))";
  }

  // A needle that is longer than allowed must be refused before it is searched for.
  std::string Needle(const SqlNode& node) const {
    if (node.kind == SqlKind::kLiteral && node.text.size() <= limits::kMaxExpressionNeedleBytes) {
      return Text(node);
    }
    return StrCat("fletch_needle(", Text(node), ")");
  }

  std::string Match(const SqlNode& node) const {
    const std::string call = StrCat(node.text, "(", Needle(*node.children[1]), ",", Child(node, 0),
                                    node.children.size() == 3 ? "," + Child(node, 2) : "", ")");
    return node.negated ? StrCat("(NOT ", call, ")") : call;
  }

  std::string Case(const SqlNode& node) const {
    std::string text = "CASE ";
    size_t i = 0;
    if (node.has_base) text += Child(node, i++) + " ";
    const size_t end = node.children.size() - (node.has_else ? 1 : 0);
    for (; i < end; i += 2) {
      text += StrCat("WHEN ", Child(node, i), " THEN ", Child(node, i + 1), " ");
    }
    if (node.has_else) text += StrCat("ELSE ", Child(node, i), " ");
    return text + "END";
  }

  std::string Call(const SqlNode& node) const {
    if (node.text == "abs" && node.type != SqlType::kReal) return Checked("fletch_abs", node);
    std::string text = StrCat(node.text, "(");
    for (size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0) text += ",";
      const bool needle = node.function->needle != 0 && i + 1 == node.function->needle;
      text += needle ? Needle(*node.children[i]) : Child(node, i);
    }
    return text + ")";
  }

  const absl::Span<const size_t> parameters_;
  const size_t column_;
};

}  // namespace

std::string EmitSql(const SqlNode& root, absl::Span<const size_t> parameters, size_t column) {
  return Emitter(parameters, column).Text(root);
}

}  // namespace fletch

-- luacheck's settings: `make check` runs it over lua, sites and spec.
std = "luajit"
max_line_length = 100
max_cyclomatic_complexity = 15

-- A method has `self` because of what it is, whether it needs it or not.
self = false

-- Nothing sets a global, and nobody reads one that LuaJIT does not have; busted
-- alone brings its own (describe, it, ...).
files["spec"] = { std = "+busted" }
files["sites/*/spec"] = { std = "+busted" }
files["**/*_spec.lua"] = { std = "+busted" }

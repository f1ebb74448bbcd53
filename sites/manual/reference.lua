-- The reference: every public module of the framework with its functions and classes, from what
-- the modules have and the comments above it in their source, which is in the binary.
local core = require "tornado.core"
local Object = require("tornado.util").Object

local reference = {}

-- The public modules, in the groups and the order of the contents. One that is in no group and
-- not internal comes into the last one.
local GROUPS = {
    { "Web", "tornado.web", "tornado.websocket", "tornado.template", "tornado.locale",
        "tornado.schema", "tornado.routing", "tornado.httputil", "tornado.httpserver",
        "tornado.escape", "tornado.markdown", "tornado.pubsub" },
    { "Coroutines and processes", "tornado.gen", "tornado.ioloop", "tornado.concurrent",
        "tornado.locks", "tornado.queues", "tornado.stack_context", "tornado.process",
        "tornado.files" },
    { "The network", "tornado.httpclient", "tornado.iostream", "tornado.tcpserver",
        "tornado.tcpclient", "tornado.netutil" },
    { "Programs, tests, operation", "tornado.admin", "tornado.options", "tornado.log",
        "tornado.testing", "tornado.sites", "tornado.util" },
}

--- Modules that are the framework's own: nothing of them is promised.
reference.INTERNAL = {
    ["tornado.command"] = true, ["tornado.config"] = true, ["tornado.control"] = true,
    ["tornado.core"] = true, ["tornado.entities"] = true, ["tornado.generation"] = true,
    ["tornado.loading"] = true, ["tornado.main"] = true, ["tornado.serving"] = true,
    ["tornado.trace"] = true, ["tornado.watchdog"] = true,
}

-- Source -----------------------------------------------------------------------------------

local sources = {}

-- The lines of the file that debug.getinfo() calls "@tornado/web.lua".
local function lines_of(source, scripts)
    local name = source:match("^@(.*)%.lua$")
    if not name then return nil end
    name = name:gsub("/", ".")
    if sources[name] == nil then
        local text = scripts[name]
        local lines = text and {} or false
        for line in (text and text .. "\n" or ""):gmatch("(.-)\n") do lines[#lines + 1] = line end
        sources[name] = lines
    end
    return sources[name]
end

-- The comment that ends above line `at`, without its dashes; nil when there is none.
local function comment_above(lines, at)
    local first = at
    while first > 1 and lines[first - 1]:find("^%s*%-%-") do first = first - 1 end
    -- What stands above "---" is not about this.
    for i = at - 1, first, -1 do
        local follows = i > first and lines[i - 1]:find("^%s*%-%-%- ")
        if lines[i]:find("^%s*%-%-%- ") and not follows then
            first = i
            break
        end
    end
    if first == at then return nil end
    local text = {}
    for i = first, at - 1 do
        local line = lines[i]:gsub("^%s*%-%-+ ?", "", 1)
        if not line:find("^luacheck:") then text[#text + 1] = line:gsub("^Tornado: ", "\n%0") end
    end
    return table.concat(text, "\n")
end

-- "(name, options)" of the function that is defined in line `at`.
local function parameters(lines, at)
    local text = table.concat(lines, "\n", at, math.min(at + 5, #lines))
    return (text:match("function[^(\n]*(%b())") or "(...)"):gsub("%s+", " ")
end

-- The comment of line `at`, where a definition of one line may stand below others of its kind that
-- share one.
local function comment_of_line(lines, at)
    local function is_alike(line)
        return line:find("^%u%w*%.[%w_]+ = [%w_.]+$") or
            line:find("^function [%w_.:]+%b().* end%f[%s%z]")
    end
    local text = comment_above(lines, at)
    while not text and is_alike(lines[at]) and at > 1 do
        at = at - 1
        if lines[at] == "" then at = at - 1 end
        text = is_alike(lines[at]) and comment_above(lines, at)
    end
    return text or nil
end

local function describe(fn, scripts)
    if type(fn) ~= "function" then return nil, "(...)" end
    local info = debug.getinfo(fn, "S")
    local lines = lines_of(info.source, scripts)
    if not lines then return nil, "(...)" end
    return comment_of_line(lines, info.linedefined), parameters(lines, info.linedefined)
end

-- The files that the methods of a class are in, as lines, with that of its module first.
local function files_of(class, lines, scripts)
    local files, known = { lines }, { [lines] = true }
    for name, fn in pairs(class) do
        if type(fn) == "function" and type(name) == "string" then
            local other = lines_of(debug.getinfo(fn, "S").source, scripts)
            if other and not known[other] then
                known[other] = true
                files[#files + 1] = other
            end
        end
    end
    return files
end

local indexes = {}

-- Where names get what they stand for in a file: lists of lines, by name.
local function index_of(lines)
    local index = indexes[lines]
    if index then return index end
    index = {}
    for i, line in ipairs(lines) do
        local name = line:match("^%s*[%w_]+%.([%w_]+) = ") or line:match("^local ([%w_]+) = {$") or
            line:match(':extend "([%w_]+)"')
        if name then
            index[name] = index[name] or {}
            table.insert(index[name], i)
        end
    end
    indexes[lines] = index
    return index
end

-- The comment above "Class.name = something".
local function comment_of_field(files, name)
    for _, lines in ipairs(files) do
        for _, i in ipairs(index_of(lines)[name] or {}) do
            if lines[i]:find("^%s*%u%w*%.[%w_]+ = [%w_.]+$") then
                local text = comment_of_line(lines, i)
                if text then return text end
            end
        end
    end
end

-- The comment at the beginning of a module's source.
local function head_of(lines)
    local text = {}
    for _, line in ipairs(lines) do
        if not line:find("^%-%-") then break end
        text[#text + 1] = line:gsub("^%-%-+ ?", "", 1)
    end
    return table.concat(text, "\n")
end

-- The comment above the line where a class or a value gets its name.
local function comment_of_name(lines, name)
    for _, i in ipairs(index_of(lines)[name] or {}) do
        local text = comment_above(lines, i)
        if text then return text end
    end
end

-- Modules ------------------------------------------------------------------------------------

local function sorted_names(map)
    local names = {}
    for name in pairs(map) do
        if type(name) == "string" and not name:find("^_") then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

-- A method's own comment, or that of the method which it takes the place of.
local function method_of(class, name, files, scripts)
    local text, arguments = describe(class[name], scripts)
    text = text or comment_of_field(files, name)
    local above = class.super
    while not text and above do
        text = describe(above[name], scripts)
        above = above.super
    end
    return text, arguments
end

local function is_class(value)
    return type(value) == "table" and type(rawget(value, "__name")) == "string"
end

local SKIPPED = { init = true, extend = true, class = true, super = true }

-- The comment of a class: where it gets its name, or of its constructor, or of the file that has
-- nothing else.
local function comment_of_class(name, class, files, scripts)
    for _, lines in ipairs(files) do
        local text = comment_of_name(lines, name) or comment_of_name(lines, class.__name)
        if text then return text end
    end
    if class.init ~= Object.init then return (describe(class.init, scripts)) end
    for i = 2, #files do
        if index_of(files[i])[name] then return head_of(files[i]) end
    end
end

local function class_entry(name, class, lines, scripts)
    local entry = { kind = "class", name = name, members = {} }
    local files = files_of(class, lines, scripts)
    local _, constructor = describe(class.init, scripts)
    entry.text = comment_of_class(name, class, files, scripts)
    entry.signature = name .. constructor
    entry.parent = class.super ~= Object and class.super and rawget(class.super, "__name")
    for _, method in ipairs(sorted_names(class)) do
        if type(rawget(class, method)) == "function" and not SKIPPED[method] then
            local text, arguments = method_of(class, method, files, scripts)
            entry.members[#entry.members + 1] = {
                kind = "function", name = name .. ":" .. method, method = method, text = text,
                signature = name .. ":" .. method .. arguments,
            }
        end
    end
    return entry
end

-- Some functions are methods of a class as well, or of two: what has no comment of its own is what
-- the other one of that name is.
local function fill_in(module)
    local known = {}
    local function learn(entry, name)
        if entry.text and not known[name] then known[name] = entry end
    end
    local function each(fn)
        for _, entry in ipairs(module.entries) do
            if entry.kind == "function" then fn(entry, entry.name) end
            for _, member in ipairs(entry.members or {}) do fn(member, member.method) end
        end
    end
    each(learn)
    each(function(entry, name)
        local other = known[name]
        if entry.text or not other then return end
        entry.text = other.text
        entry.signature = entry.signature:match("^[^(]*") .. other.signature:match("%(.*")
    end)
end

local function entry_of(module, name, value, lines, scripts)
    if type(value) == "function" then
        local text, arguments = describe(value, scripts)
        return {
            kind = "function", name = name, signature = module .. "." .. name .. arguments,
            text = text,
        }
    elseif is_class(value) then
        return class_entry(name, value, lines, scripts)
    end
    return { kind = "value", name = name, signature = name, text = comment_of_name(lines, name) }
end

-- Objects that functions of a module return, and the modules that return their classes.
local OBJECTS = { ["tornado.pubsub"] = { "tornado.pubsub.hub" } }

local ORDER = { ["function"] = 1, class = 2, value = 3 }

--- A module: { name =, text =, entries = { { kind =, name =, signature =, text =, members = } } },
-- where kind is "function", "class" or "value".
function reference.module(name)
    local scripts = core.scripts()
    local value = require(name)
    local lines = lines_of("@" .. name:gsub("%.", "/") .. ".lua", scripts)
    local module = { name = name, text = head_of(lines), entries = {} }
    local short = name:match("[^.]+$")
    for _, key in ipairs(sorted_names(value)) do
        module.entries[#module.entries + 1] = entry_of(short, key, value[key], lines, scripts)
    end
    for _, source in ipairs(OBJECTS[name] or {}) do
        local class = require(source)
        module.entries[#module.entries + 1] = class_entry(class.__name, class,
            lines_of("@" .. source:gsub("%.", "/") .. ".lua", scripts), scripts)
    end
    fill_in(module)
    table.sort(module.entries, function(a, b)
        if a.kind ~= b.kind then return ORDER[a.kind] < ORDER[b.kind] end
        return a.name < b.name
    end)
    return module
end

-- Pages ----------------------------------------------------------------------------------------

-- Comments have stars and underscores that are no emphasis. What stands between backquotes, and
-- lines that are indented, Markdown leaves alone.
local function prose(text)
    local in_code = false
    return ((text .. "\n"):gsub("[^\n]*\n", function(line)
        if not in_code and line:find("^    ") then return nil end
        return (line:gsub("[`*_\\<|]", function(char)
            if char == "`" then in_code = not in_code end
            return (char == "`" or in_code) and char or "\\" .. char
        end))
    end):gsub("\n$", ""))
end

reference.prose = prose

local TITLES = { ["function"] = "Functions", class = "Classes", value = "Values" }

-- What other parts of the framework call, by its comment.
local function is_inner(entry)
    local text = entry.text or ""
    return text:find("^For C%f[%W]") or text:find("^From ") or text:find("^C says")
end

local function add_entry(out, entry, level)
    if is_inner(entry) then return end
    out[#out + 1] = ("%s %s"):format(level, prose(entry.name))
    if entry.kind ~= "value" then out[#out + 1] = ("```lua\n%s\n```"):format(entry.signature) end
    if entry.parent then
        out[#out + 1] = ("*A class that descends from %s.*"):format(prose(entry.parent))
    end
    if entry.text then out[#out + 1] = prose(entry.text) end
    for _, member in ipairs(entry.members or {}) do add_entry(out, member, level .. "#") end
end

--- The page of a module as Markdown.
function reference.page(name)
    local module = reference.module(name)
    local out, kind = { "# " .. prose(name), prose(module.text) }, nil
    for _, entry in ipairs(module.entries) do
        if entry.kind ~= kind then
            kind = entry.kind
            out[#out + 1] = "## " .. TITLES[kind]
        end
        add_entry(out, entry, "###")
    end
    return table.concat(out, "\n\n")
end

-- Adds the modules that nobody has put anywhere.
local function complete(groups)
    local known = { ["tornado.abi"] = true }
    for _, group in ipairs(groups) do
        for i = 2, #group do known[group[i]] = true end
    end
    local last = groups[#groups]
    for _, name in ipairs(sorted_names(core.scripts())) do
        local is_module = name:find("^tornado%.[^.]+$")
        if is_module and not known[name] and not reference.INTERNAL[name] then
            last[#last + 1] = name
        end
    end
    return groups
end

--- The public modules: a list of groups { title, name, ... }.
reference.GROUPS = complete(GROUPS)

--- All public modules: a list of their names.
function reference.modules()
    local names = {}
    for _, group in ipairs(reference.GROUPS) do
        for i = 2, #group do names[#names + 1] = group[i] end
    end
    return names
end

-- What is defined behind a comment in `text`: "web.function_name", or "".
local function what_follows(text, at)
    local line = text:match("^([^\n]*)", at)
    return line:match("function ([%w_.:]+)") or line:match("^([%w_.]+%.[%w_]+) = ") or ""
end

-- The note that begins at `at`, behind "-- Tornado: ", to the end of its comment.
local function note_at(text, at)
    local note, behind = text:match("^([^\n]*)\n()", at)
    while true do
        local more, next_line = text:match("^%s*%-%-%-? ?([^\n-][^\n]*)\n()", behind)
        if not more then break end
        note, behind = note .. " " .. more, next_line
    end
    return note, what_follows(text, behind)
end

--- What differs from Tornado, by the modules' own words: a list of { module =, about =, text = }.
function reference.differences()
    local list = {}
    local scripts = core.scripts()
    for _, name in ipairs(sorted_names(scripts)) do
        local text = scripts[name]
        local _, at = text:find("-- Tornado: ", 1, true)
        while at do
            local note, about = note_at(text, at + 1)
            list[#list + 1] = { module = name, about = about, text = note }
            _, at = text:find("-- Tornado: ", at, true)
        end
    end
    return list
end

return reference

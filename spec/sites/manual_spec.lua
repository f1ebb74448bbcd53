-- sites/manual: its pages, its search, and that what it says is true: every sample is run, every
-- option and every public function is in it.
local config = require "tornado.config"
local core = require "tornado.core"
local escape = require "tornado.escape"
local files = require "tornado.files"
local process = require "tornado.process"
local sites = require "tornado.sites"
local testing = require "tornado.testing"

local FOLDER = "sites/manual/pages"

local app = assert(sites.load("sites/manual"))
local book = app.book

local function new_folder()
    local folder = ("%s/ctornado-manual-%s"):format(os.getenv "TMPDIR" or "/tmp",
        core.hex(core.random(8)))
    files.mkdir(folder)
    finally(function() process.run { "rm", "-rf", folder } end)
    return folder
end

-- The blocks of code in a text: { language =, words =, text =, line = }.
local function blocks_of(text)
    local blocks, open, line = {}, nil, 0
    for row in (text .. "\n"):gmatch("(.-)\n") do
        line = line + 1
        local info = row:match("^```(.*)$")
        if open and info then
            open.text = table.concat(open, "\n") .. "\n"
            blocks[#blocks + 1], open = open, nil
        elseif info then
            open = { language = info:match("^%S*"), words = info:match("^%S+ (.*)$"), line = line }
        elseif open then
            open[#open + 1] = row
        end
    end
    assert(not open, "a block of code has no end")
    return blocks
end

-- Samples -------------------------------------------------------------------------------------

-- A message of HTTP: its first line, a list of headers, its body.
local function message_of(text)
    local first, rest = text:match("^([^\n]+)\n(.*)$")
    local headers = {}
    while true do
        local name, value, behind = rest:match("^([%w-]+): ([^\n]*)\n(.*)$")
        if not name then break end
        headers[#headers + 1] = { name, value }
        rest = behind
    end
    return first, headers, (rest:gsub("^\n", ""):gsub("%s+$", ""))
end

-- One exchange with the site of the sample above.
local function exchange(server, text, where)
    local asked, answered = text:match("^(.-\n)(HTTP/1%.1 .*)$")
    assert(asked, where .. ": an exchange has a request and a response")
    local first, headers, body = message_of(asked)
    local method, path = first:match("^(%u+) (%S+)$")
    local response = server:fetch(path, {
        method = method, headers = headers, body = body ~= "" and body or nil,
    })
    first, headers, body = message_of(answered)
    assert.equal(first, ("HTTP/1.1 %d %s"):format(response.code, response.reason), where)
    for _, header in ipairs(headers) do
        assert.equal(header[2], response.headers:get(header[1]), where)
    end
    if body:find("^{") then
        assert.same(escape.json_decode(body), response:json(), where)
    elseif body ~= "..." then
        assert.equal(body, (response.body:gsub("%s+$", "")), where)
    end
end

-- A script: what it prints must be what stands behind "-->" in it.
local function run_script(text, where)
    local printed, expected = {}, {}
    for line in text:gmatch("%-%->%s*([^\n]*)") do expected[#expected + 1] = line end
    local env = setmetatable({
        print = function(...)
            local parts = { ... }
            for i = 1, select("#", ...) do parts[i] = tostring(parts[i]) end
            printed[#printed + 1] = (table.concat(parts, " "):gsub("%s+$", ""))
        end,
    }, { __index = _G })
    setfenv(assert(loadstring(text, "=" .. where)), env)()
    assert.same(expected, printed, where)
    assert.truthy(#printed > 0, where .. " prints nothing: it is no test")
end

-- Runs a spec in a process of its own, beside the site above it.
local function run_spec(text, where, folder)
    local path = folder .. "/sample_spec.lua"
    files.write(path, text)
    local code, out, err = process.run({ "/proc/self/exe", "test", path },
        { timeout = 60, cwd = folder })
    assert.equal(0, code, where .. "\n" .. out .. err)
    assert.truthy(out:find("[1-9]%d* success"), where .. "\n" .. out)
end

local run = {}

function run.app(state, block, where)
    files.write(state.folder .. "/app.lua", block.text)
    state.server = testing.serve(assert(sites.load(state.folder)))
    assert.truthy(state.server, where)
end

function run.run(_, block, where) run_script(block.text, where) end

function run.spec(state, block, where) run_spec(block.text, where, state.folder) end

function run.part(_, block, where) assert(loadstring(block.text, "=" .. where)) end

-- Options of the server, and those that commands have of their own.
local function known_options(text, where)
    for name in text:gmatch("%f[%-]%-%-([%l_]+)=") do
        local known = { output = true, worker = true, hz = true, format = true, json = true }
        for _, option in ipairs(config.OPTIONS) do known[option[1]] = true end
        assert.truthy(known[name], ("%s: there is no option %s"):format(where, name))
    end
end

local kinds = {}

function kinds.lua(state, block, where)
    local kind = assert(run[block.words], where .. ": a block of Lua is app, run, spec or part")
    kind(state, block, where)
end

function kinds.http(state, block, where) exchange(state.server, block.text, where) end

function kinds.conf(state, block, where)
    local path = state.folder .. "/ctornado.conf"
    files.write(path, block.text)
    local options, why = config.read(path)
    assert(options, ("%s: %s"):format(where, why))
end

function kinds.html(state, block)
    local name = block.words and block.words:match("^file=(%S+)$")
    if not name then return end
    files.mkdir(state.folder .. "/" .. name:match("^(.*)/"), { parents = true })
    files.write(state.folder .. "/" .. name, block.text)
end

kinds.csv, kinds.css = kinds.html, kinds.html

function kinds.sh(_, block, where) known_options(block.text, where) end

function kinds.ini() end

function kinds.python() end

function kinds.text() end

describe("the samples of the manual", function()
    for _, name in ipairs(core.folder(FOLDER)) do
        it("are right in " .. name, function()
            local blocks = blocks_of(files.read(FOLDER .. "/" .. name))
            local state = { folder = new_folder() }
            testing.ExpectLog("general", "4\\d\\d ", { required = false })
            for _, block in ipairs(blocks) do
                local where = ("%s:%d"):format(name, block.line)
                local kind = kinds[block.language]
                assert(kind, ('%s: no kind of block is called "%s"'):format(where, block.language))
                kind(state, block, where)
            end
        end)
    end
end)

describe("the README", function()
    local text = files.read("README.md")

    it("has samples that work", function()
        local folder, samples = new_folder(), {}
        for _, block in ipairs(blocks_of(text)) do
            if block.language == "lua" then samples[#samples + 1] = block.text end
        end
        assert.equal(4, #samples)
        local state = { folder = folder .. "/sites/hello" }
        files.mkdir(state.folder, { parents = true })
        run.app(state, { text = samples[1] }, "the first sample")
        assert.equal("Hello, world", state.server:fetch("/").body)
        run.app(state, { text = samples[2] }, "sites/hello")
        assert.same({ hello = "ada", lang = "fr" },
            state.server:fetch("/hello/ada?lang=fr"):json())
        run.part(state, { text = samples[3] }, "the schema")
        run_spec(samples[4], "the spec", folder)
    end)

    it("names commands, options, targets and sites that there are", function()
        known_options(text, "README.md")
        local _, help = process.run { "/proc/self/exe", "help" }
        for name in text:gmatch("build/ctornado ([a-z]+)") do
            assert.truthy(help:find("%f[%w]" .. name .. "%f[%W]"), name)
        end
        local makefile = files.read("Makefile")
        for name in text:gmatch("\n    make ([a-z]+)") do
            assert.truthy(makefile:find("\n" .. name .. ":", 1, true), "make " .. name)
        end
        local map = text:match("\n    sites/(.-)\n    spec/")
        local start = files.read(FOLDER .. "/start.md")
        for _, name in ipairs(core.folder("sites")) do
            assert.truthy(map:find("%f[%w]" .. name .. "%f[%W]"), "sites/" .. name)
            assert.truthy(start:find("| `" .. name .. "` |", 1, true), "sites/" .. name)
        end
    end)
end)

-- Pages ---------------------------------------------------------------------------------------

local function all_pages()
    local names = { "index" }
    for _, group in ipairs(book.groups) do
        for _, page in ipairs(group) do names[#names + 1] = page.name end
    end
    return names
end

local function path_of(name)
    return name == "index" and "/" or "/" .. name
end

describe("sites/manual", function()
    it("has each chapter in its contents", function()
        for _, file in ipairs(core.folder(FOLDER)) do
            assert.truthy(book.pages[file:match("^(.*)%.md$")], file)
        end
    end)

    it("shows each page, whose links lead somewhere", function()
        local server = testing.serve(app, { socket = false })
        local ids, links = {}, {}
        for _, name in ipairs(all_pages()) do
            local path = path_of(name)
            local page = server:fetch(path)
            assert.equal(200, page.code, path)
            assert.falsy(page.body:find("<script>") or page.body:find(" style="), path)
            assert.equal(1, select(2, page.body:gsub("<h1>", "")), path)
            ids[path] = {}
            for id in page.body:gmatch(' id="([^"]+)"') do
                assert.falsy(ids[path][id], path .. "#" .. id .. " is there twice")
                ids[path][id] = true
            end
            for url in page.body:gmatch('href="([/#][^"]*)"') do
                links[#links + 1] = { from = path, url = url:find("^#") and path .. url or url }
            end
        end
        for _, link in ipairs(links) do
            local path, id = link.url:match("^([^#?]*)%??[^#]*#?(.*)$")
            if not path:find("^/static/") then
                local what = link.from .. " links to " .. link.url
                assert.truthy(ids[path], what)
                assert.truthy(id == "" or ids[path][id], what)
            else
                assert.equal(200, server:fetch(path).code, path)
            end
        end
    end)

    it("colours code and escapes what is in it", function()
        local document = setfenv(assert(loadfile("sites/manual/document.lua")), setmetatable({
            require = function(name)
                if name ~= "highlight" then return require(name) end
                return dofile("sites/manual/highlight.lua")
            end,
        }, { __index = _G }))()
        local page = document.render("# A\n\n## B `c`\n\n## B c\n\n```lua part\n" ..
            "if a < \"b\" then\n```\n\n[x](other.md#y)\n",
            function(name) return "/" .. name end)
        assert.equal("A", page.title)
        assert.same({ "a", "b-c", "b-c-2" },
            { page.headings[1].id, page.headings[2].id, page.headings[3].id })
        assert.truthy(page.html:find('<span class="kw">if</span> a &lt; ' ..
            '<span class="str">&quot;b&quot;</span> <span class="kw">then</span>', 1, true))
        assert.truthy(page.html:find('<a href="/other#y">x</a>', 1, true))
    end)

    it("answers 304 to who has a page, and 404 where there is none", function()
        local server = testing.serve(app, { socket = false })
        local etag = server:fetch("/start").headers:get("Etag")
        assert.equal(304, server:fetch("/start", { headers = { ["If-None-Match"] = etag } }).code)
        for _, path in ipairs { "/nothing", "/tornado.core", "/start.md", "/pages/start.md",
            "/a/b" } do
            local page = server:fetch(path)
            assert.equal(404, page.code, path)
            assert.truthy(page.body:find("To the beginning of the manual", 1, true), path)
        end
    end)

    it("lies below a prefix as well", function()
        local mounts = assert(sites.load_all { { path = "sites/manual", prefix = "/manual" } })
        local server = testing.serve(mounts, { socket = false })
        local page = server:fetch("/manual").body
        assert.truthy(page:find('href="/manual/start"', 1, true))
        for url in page:gmatch('[hs][re][ec]f?="(/[^"#]*)') do
            assert.truthy(url:find("^/manual/"), url)
            assert.equal(200, server:fetch(url).code, url)
        end
        assert.truthy(server:fetch("/manual/search?q=deadline").body:find(
            'href="/manual/async#deadlines"', 1, true))
    end)

    it("finds sections by their words, the fitting title first", function()
        local server = testing.serve(app, { socket = false })
        local page = server:fetch("/search?q=with_timeout").body
        assert.equal("/tornado.gen#with_timeout",
            page:match('<ol class="found">.-<a href="([^"]+)"'))
        assert.truthy(server:fetch("/search?q=xyzzyx").body:find("Nothing has all of", 1, true))
        assert.truthy(server:fetch("/search?q=%3Cxyzzyx%3E").body:find("“&lt;xyzzyx&gt;”", 1,
            true))
        assert.equal(200, server:fetch("/search").code)
        assert.equal(200, server:fetch("/search?q=" .. ("%25a+"):rep(400)).code)
    end)

    it("says which package is missing", function()
        local real = core.markdown
        finally(function() core.markdown = real end)
        core.markdown = function() return nil, "no library" end
        local fresh = assert(sites.load("sites/manual"))
        local server = testing.serve(fresh, { socket = false })
        testing.expect_log("error", "the manual: no library")
        local page = server:fetch("/")
        assert.equal(503, page.code)
        assert.truthy(page.body:find("needs the package libmd4c-html0", 1, true))
    end)
end)

-- What the reference has ------------------------------------------------------------------------

describe("the reference", function()
    it("has every option of the server, and no other", function()
        local text = book:text("options")
        local known = {}
        for _, option in ipairs(config.OPTIONS) do
            known[option[1]] = true
            assert.truthy(option[1] == "config" or
                text:find("\n### " .. option[1] .. "\n", 1, true),
                option[1] .. " is not in ctornado.conf")
        end
        for name in text:gmatch("\n### ([%w_]+)\n") do assert.truthy(known[name], name) end
    end)

    it("has every module that is not internal, once", function()
        local times = {}
        for name in pairs(book.reference.INTERNAL) do times[name] = 1 end
        for _, name in ipairs(book.reference.modules()) do times[name] = (times[name] or 0) + 1 end
        for name in pairs(core.scripts()) do
            if name:find("^tornado%.[^.]+$") then assert.equal(1, times[name], name) end
            times[name] = nil
        end
        assert.same({}, times) -- none that is no more
    end)

    for _, name in ipairs(book.reference.modules()) do
        it("has a comment for each function and class of " .. name, function()
            local bare = {}
            local module = book.reference.module(name)
            assert.truthy(#module.text > 0 and #module.entries > 0)
            for _, entry in ipairs(module.entries) do
                if not entry.text and not entry.parent and entry.kind ~= "value" then
                    bare[#bare + 1] = entry.name
                end
                for _, member in ipairs(entry.members or {}) do
                    if not member.text then bare[#bare + 1] = member.name end
                end
            end
            assert.same({}, bare)
        end)
    end

    it("shows parameters and comments as the source has them", function()
        local text = book:text("tornado.util")
        assert.truthy(text:find("### isinstance\n\n```lua\n" ..
            "util.isinstance(value, class)\n```\n\nReturns whether `value` is an object (or " ..
            "a class) made from `class`", 1, true))
    end)
end)

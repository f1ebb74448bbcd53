-- The pages of the manual, in their order: chapters from files, and those that are made from the
-- server itself. Each is rendered once, when somebody asks for it, and then kept.
local autoreload = require "tornado.autoreload"
local gen = require "tornado.gen"
local locks = require "tornado.locks"
local log = require "tornado.log"
local util = require "tornado.util"
local web = require "tornado.web"

local document = require "document"
local options = require "options"
local MarkdownError = require("tornado.markdown").MarkdownError
local reference = require "reference"
local search = require "search"

local CHAPTERS = {
    { "Begin", "start", "routing", "input", "templates", "static" },
    { "Beyond a page", "async", "client", "streams", "live", "testing" },
    { "For good", "production", "options" },
    { "Coming from", "tornado", "openresty", "nginx" },
}

-- Chapters that no file has, and what stands behind the text of one that has one.
local MADE = { options = function() return (options.page()) end }
local BEHIND = {}

function BEHIND.tornado()
    local out = { "| where | what | Tornado |", "|---|---|---|" }
    for _, note in ipairs(reference.differences()) do
        out[#out + 1] = ("| %s | %s | %s |"):format(note.module:gsub("^tornado%.", ""),
            note.about ~= "" and "`" .. note.about .. "`" or "",
            reference.prose(note.text))
    end
    return table.concat(out, "\n") .. "\n"
end

local Book = util.Object:extend "Book"

-- The first line of a chapter is its title: pages are rendered later.
local function read(path)
    local file = io.open(path, "rb")
    if not file then return nil end
    local text = file:read("*a")
    file:close()
    return text
end

function Book:add(group, name, title)
    local page = { name = name, title = title, group = group.title }
    group[#group + 1] = page
    self.pages[name] = page
    page.before = self.last
    if self.last then self.last.after = page end
    self.last = page
end

function Book:add_group(title)
    local group = { title = title }
    self.groups[#self.groups + 1] = group
    return group
end

--- For specs.
Book.reference = reference

--- Takes the folder of the chapters, and link(name), which gives the URL of a page.
function Book:init(folder, link)
    self.folder, self.get_link = folder, link
    self.groups, self.pages, self.cache, self.lock = {}, {}, {}, locks.Lock()
    autoreload.watch(folder .. "/index.md")
    self.pages.index = { name = "index", title = "ctornado: the manual" }
    self.last = self.pages.index
    for _, chapters in ipairs(CHAPTERS) do
        local group = self:add_group(chapters[1])
        for i = 2, #chapters do
            local path = folder .. "/" .. chapters[i] .. ".md"
            local text = read(path)
            autoreload.watch(path)
            self:add(group, chapters[i], text and text:match("^# ([^\n]+)") or "Options")
        end
    end
    for _, modules in ipairs(reference.GROUPS) do
        local group = self:add_group("Reference: " .. modules[1])
        for i = 2, #modules do self:add(group, modules[i], modules[i]) end
    end
end

--- The URL of a page.
function Book:link(name)
    return self.get_link(name)
end

--- The Markdown of a page, or nil.
function Book:text(name)
    if not self.pages[name] then return nil end
    if name:find("^tornado%.") then return reference.page(name) end
    if MADE[name] then return MADE[name]() end
    local text = read(("%s/%s.md"):format(self.folder, name))
    return BEHIND[name] and text .. "\n" .. BEHIND[name]() or text
end

--- A page with its document, or nil. Raises a 503 when Markdown cannot be rendered.
function Book:page(name)
    local page = self.pages[name]
    if not page or page.document then return page end
    local text = self:text(name)
    gen.moment()
    local ok, result = pcall(document.render, text,
        function(other) return self:link(other) end)
    if not ok then
        if not util.isinstance(result, MarkdownError) then error(result, 0) end
        log.app_log:error("the manual: %s", result.message)
        error(web.HTTPError(503, { reason = "The manual needs the package libmd4c-html0" }), 0)
    end
    page.document = result
    return page
end

--- The HTML of a page, which make(page) made when it was first asked for; or nil.
function Book:html(name, make)
    if not self.cache[name] then
        local page = self:page(name)
        self.cache[name] = page and make(page)
    end
    return self.cache[name]
end

-- All sections of all pages. To render those that nobody has read takes a while, so others have
-- their turn between two pages; who comes meanwhile waits for the same.
function Book:index()
    return self.lock:with(function()
        if self.sections then return self.sections end
        local sections = {}
        for _, group in ipairs(self.groups) do
            for _, entry in ipairs(group) do
                search.add(sections, self:page(entry.name))
                gen.moment()
            end
        end
        self.sections = sections
        return sections
    end)
end

--- What fits a query best: a list of { title =, url =, where =, text = }.
function Book:search(query)
    if not query:find("%w") then return {} end
    local found = search.find(self:index(), query)
    for _, hit in ipairs(found) do
        hit.url = self:link(hit.name) .. (hit.id and "#" .. hit.id or "")
    end
    return found
end

return Book

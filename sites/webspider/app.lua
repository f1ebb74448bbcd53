-- Tornado's demo: a crawler on a queue and tornado.httpclient. Workers take URLs from the queue,
-- fetch them, and put in what they link to, as long as it begins with where it all began.
--   GET /              a page of the small site below, which it crawls when nobody says what
--   GET /spider        crawls this site (or ?from=URL); a JSON object of what it found
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local queues = require "tornado.queues"
local urls = require "tornado.httpclient.urls"
local web = require "tornado.web"

local WORKERS, MOST, SECONDS = 10, 500, 30

local client = httpclient.AsyncHTTPClient { max_clients = WORKERS }

-- The links of a page, absolute and without fragments.
local function links_of(body, base)
    local found = {}
    for reference in body:gmatch("<[aA]%s[^>]-[hH][rR][eE][fF]%s*=%s*[\"']([^\"']*)[\"']") do
        found[#found + 1] = urls.join(base, reference)
    end
    return found
end

local function visit(spider, url)
    local ok, response = pcall(client.fetch, client, url, { max_body_size = 1048576 })
    if not ok then
        spider.dead[url] = tostring(response)
        return
    end
    spider.pages[#spider.pages + 1] = url
    local base = urls.parse(response.effective_url)
    for _, link in ipairs(links_of(response.body, base)) do
        local inside = link:sub(1, #spider.from) == spider.from
        if inside and not spider.seen[link] and spider.count < MOST then
            spider.seen[link] = true
            spider.count = spider.count + 1
            spider.queue:put(link)
        end
    end
end

local STOP = {}

local function work(spider)
    while true do
        local url = spider.queue:get()
        if url == STOP then return end
        visit(spider, url)
        spider.queue:task_done()
    end
end

-- All that is found from `from` on: { pages = sorted list, dead = URL -> why }.
local function crawl(from)
    local spider = { from = from, queue = queues.Queue(), seen = { [from] = true }, count = 1,
        pages = {}, dead = {} }
    spider.queue:put(from)
    local workers = {}
    for i = 1, WORKERS do workers[i] = gen.spawn(work, spider) end
    local ok, err = pcall(spider.queue.join, spider.queue, SECONDS)
    for _ = 1, WORKERS do spider.queue:put(STOP) end
    for i = 1, WORKERS do gen.await(workers[i]) end
    if not ok then error(err, 0) end
    table.sort(spider.pages)
    return { pages = spider.pages, dead = spider.dead }
end

local Spider = web.RequestHandler:extend "Spider"

function Spider:get()
    local from = self:get_argument("from", self.request.protocol .. "://" ..
        self.request.host .. "/")
    -- Only this machine: a server that fetches what strangers name is a way into its network.
    local parts = urls.parse(from)
    if not parts or parts.host ~= "127.0.0.1" and parts.host ~= "localhost" then
        error(web.HTTPError(400))
    end
    self:write(crawl(from))
end

-- Something to crawl: ten pages, each links to the next two, one to a page that is not there.
local Page = web.RequestHandler:extend "Page"

function Page:get(number)
    local n = tonumber(number) or 0
    if n > 9 then error(web.HTTPError(404)) end
    self:write(("<!DOCTYPE html><title>Page %d</title><a href=\"/page/%d\">next</a> "
        .. "<a href='page/%d#top'>and</a> <a href=\"http://example.test/\">out</a>")
        :format(n, n + 1, math.min(n + 2, 9)))
end

return web.Application {
    { "/", Page },
    { [[/page/(\d+)]], Page },
    { [[/page/page/(\d+)]], Page },
    { "/spider", Spider },
}

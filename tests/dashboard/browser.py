"""A real headless Chromium, driven by Selenium, that notes what the page's console says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.support.tools import require_tool

T = TypeVar("T")

WIDE = (1360, 900)
PHONE = (390, 844)
SCREENSHOTS = "KUBERAFT_SCREENSHOTS"  # a folder that outlives the test


class Browser:
    """One tab. What is waited for is polled: a real browser has no virtual clock."""

    def __init__(self, driver: webdriver.Chrome, folder: Path) -> None:
        self.driver = driver
        self._folder = folder

    def open(self, url: str) -> None:
        self.driver.get(url)

    def go(self, page: str) -> None:
        """A page of the dashboard by its fragment, as a click on a link does it."""
        self.driver.execute_script("location.hash = arguments[0]", f"#/{page}")

    def find(self, selector: str, text: str = "", seconds: float = 10.0) -> WebElement:
        """The first element that can be seen, and has that text in it."""
        return self.until(lambda: self._seen(selector, text), f"{selector} {text!r}", seconds)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent.trim())"
        found: list[str] = self.driver.execute_script(script, selector)
        return found

    def click(self, selector: str, text: str = "") -> None:
        self.until(lambda: self._clicked(selector, text), f"{selector} {text!r} to click on")

    def _clicked(self, selector: str, text: str) -> bool:
        """False if there is none, or if the page has drawn or moved it before the click: lists grow at their top."""
        element = self._seen(selector, text)
        if element is None:
            return False
        try:
            self.run("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
        except (StaleElementReferenceException, ElementClickInterceptedException):
            return False
        return True

    def hold(self, selector: str) -> None:
        """Press the mouse on it, until `release`."""
        ActionChains(self.driver).click_and_hold(self.find(selector)).perform()

    def release(self) -> None:
        ActionChains(self.driver).release().perform()

    def press(self, *keys: str) -> None:
        """Whatever has the focus gets them."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, probe: Callable[[], T | None], what: str, seconds: float = 10.0) -> T:
        deadline = time.monotonic() + seconds
        while True:
            answer = probe()
            if answer:
                return answer
            if time.monotonic() > deadline:
                self.shoot("failed")
                raise AssertionError(f"not within {seconds} s: {what}; {self.complaints()}")
            time.sleep(0.03)

    def size(self, width: int, height: int) -> None:
        """Of the page, whatever the window's own edges take."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def theme(self, name: str) -> None:
        """What the system prefers: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def shoot(self, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        self.driver.save_screenshot(str(self._folder / f"{name}.png"))

    def shoot_all(self, name: str) -> None:
        """In light, in dark, and as wide as a phone."""
        for theme in ("light", "dark"):
            self.theme(theme)
            self.shoot(f"{name}-{theme}")
        self.theme("light")
        self.size(*PHONE)
        self.shoot(f"{name}-phone")
        self.size(*WIDE)

    def complaints(self) -> list[str]:
        """Errors of the console since the last call, but for those of connections that a dead master had."""
        entries = [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [entry["message"] for entry in entries if "net::ERR_" not in entry["message"]]

    def _seen(self, selector: str, text: str) -> WebElement | None:
        for element in self.all(selector):
            try:
                if element.is_displayed() and text in element.text:
                    return element
            except StaleElementReferenceException:
                continue
        return None


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Skips (fails in CI) when Chromium or its driver is not installed."""
    binary, driver = require_tool("chromium"), require_tool("chromedriver")
    options = Options()
    options.binary_location = binary
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.set_capability("acceptInsecureCerts", True)
    started = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    try:
        browser = Browser(started, Path(os.environ.get(SCREENSHOTS) or folder))
        browser.size(*WIDE)
        browser.theme("light")
        yield browser
    finally:
        started.quit()


ESCAPE = Keys.ESCAPE
